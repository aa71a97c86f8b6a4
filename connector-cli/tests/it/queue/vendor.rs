//! A queue over HTTP that forgets what is acknowledged: what was told to be forgotten and is not in Bronze is lost.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use connector_testkit::vendor::{
    Vendor,
    axum::{
        Json, Router,
        extract::{Query, State},
        routing::{get, post},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Items in a page.
const PAGE: usize = 20;

/// The queue, and its server.
pub(super) struct Queue {
    pub(super) vendor: Vendor,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
pub(super) struct Kept {
    /// What is still there.
    pub(super) items: BTreeMap<u64, String>,
    /// How many there ever were; they are numbered from 1.
    pub(super) ever: u64,
}

impl Queue {
    pub(super) async fn serve() -> Self {
        let kept = Arc::<Mutex<Kept>>::default();
        let router = Router::new()
            .route("/items", get(items))
            .route("/forget", post(forget))
            .with_state(Arc::clone(&kept));
        Self { vendor: Vendor::serve(router).await.unwrap(), kept }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    pub(super) fn put(&self, count: u64) {
        let mut kept = self.kept();
        for _ in 0..count {
            kept.ever += 1;
            let (id, text) = (kept.ever, format!("item {} {}", kept.ever, "é🦌".repeat(40)));
            kept.items.insert(id, text);
        }
    }
}

#[derive(Deserialize)]
struct Place {
    after: u64,
}

async fn items(State(kept): State<Arc<Mutex<Kept>>>, Query(place): Query<Place>) -> Json<Value> {
    let kept = kept.lock().unwrap();
    let page: Vec<Value> = kept
        .items
        .range(place.after + 1..)
        .take(PAGE)
        .map(|(id, text)| json!({ "id": id, "text": text }))
        .collect();
    Json(json!({ "items": page }))
}

async fn forget(State(kept): State<Arc<Mutex<Kept>>>, Query(place): Query<Place>) -> Json<Value> {
    let mut kept = kept.lock().unwrap();
    kept.items = kept.items.split_off(&(place.after + 1));
    Json(json!({}))
}
