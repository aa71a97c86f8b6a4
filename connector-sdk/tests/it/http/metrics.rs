use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};

use super::{Bench, get};
use crate::support::script::{Step, lost, status};

/// Writes down what is recorded.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

struct Series(Seen, String);

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        self.0.0.lock().unwrap().push(self.1.clone());
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Histogram::from_arc(Arc::new(Series(self.clone(), format!("{} {}", key.name(), labels.join(" ")))))
    }
}

#[test]
fn each_attempt_is_measured_under_the_names_of_opentelemetry() {
    let seen = Seen::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    with_local_recorder(&seen, || {
        let bench = Bench::new([status(503), lost(), status(200), Step::Hang, status(200)]);
        runtime.block_on(async {
            bench.send(get()).await.unwrap();
            bench.send(get()).await.unwrap();
        });
    });
    let name = "http.client.request.duration http.request.method=GET";
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            format!("{name} server.address=fake http.response.status_code=503 error.type=503"),
            format!("{name} error.type=Transient"),
            format!("{name} server.address=fake http.response.status_code=200"),
            format!("{name} error.type=Transient"),
            format!("{name} server.address=fake http.response.status_code=200"),
        ]
    );
}
