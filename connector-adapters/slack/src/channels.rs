//! Which channels there are: what partitions the streams that are read by channel.

use std::sync::{Arc, Mutex, PoisonError};

use connector_sdk::{Context, Delivery, Error, Partition, Plan, Result, RunId, contract::Skipped};
use serde::{Deserialize, Serialize};

use crate::{
    api::Api,
    catalog::Stream,
    config::{ChannelType, Settings},
    cursor::Cursors,
    fault,
    method::{CHANNELS, JOIN},
    ts::Ts,
};

/// What the vendor recommends at most for lists.
const PAGE: &str = "200";

/// A channel, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Channel {
    pub(crate) id: String,
    #[serde(default)]
    is_member: Option<bool>,
    #[serde(default)]
    is_archived: Option<bool>,
    #[serde(default)]
    is_private: Option<bool>,
    #[serde(default)]
    is_im: Option<bool>,
    #[serde(default)]
    is_mpim: Option<bool>,
    /// Seconds since 1970; kept loosely, as all that only makes reading quicker.
    #[serde(default)]
    created: Option<serde_json::Number>,
}

#[derive(Deserialize)]
struct Listed {
    channels: Vec<Channel>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    next_cursor: Option<String>,
}

/// What the reader of a channel has to know of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// When it was made: there is hardly anything from before.
    pub(crate) begins: Ts,
    /// Whether it is to be joined when the vendor says that we are no member.
    pub(crate) join: bool,
}

impl Channel {
    fn is_joinable(&self) -> bool {
        ![self.is_private, self.is_im, self.is_mpim, self.is_archived].contains(&Some(true))
    }

    /// When it was made; the beginning of time where the vendor does not say.
    pub(crate) fn begins(&self) -> Ts {
        let created = self.created.as_ref().and_then(serde_json::Number::as_u64).unwrap_or(0);
        Ts::from_micros(created.saturating_mul(1_000_000))
    }

    fn slice(&self, join: bool) -> Slice {
        Slice { begins: self.begins(), join: join && self.is_joinable() }
    }
}

/// The channels of the last run that asked, so that each of its streams does not ask again.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Option<(RunId, Arc<Vec<Channel>>)>>);

impl Known {
    /// All channels of the kinds that are configured.
    ///
    /// # Errors
    /// As the vendor answers.
    pub(crate) async fn channels(
        &self,
        api: &Api,
        cx: &Context,
        settings: &Settings,
    ) -> Result<Arc<Vec<Channel>>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some((run, channels)), Some(now)) = (held, cx.run())
            && run == *now
        {
            return Ok(channels);
        }
        let channels = Arc::new(list(api, cx, settings).await?);
        if let Some(run) = cx.run() {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *held = Some((run.clone(), Arc::clone(&channels)));
        }
        Ok(channels)
    }
}

/// The kinds that are configured, as an argument.
pub(crate) fn kinds(settings: &Settings) -> String {
    settings.channel_types.iter().map(|kind: &ChannelType| kind.name()).collect::<Vec<_>>().join(",")
}

async fn list(api: &Api, cx: &Context, settings: &Settings) -> Result<Vec<Channel>> {
    let kinds = kinds(settings);
    let mut cursors = Cursors::new(CHANNELS.name);
    let mut found: Vec<Channel> = Vec::new();
    loop {
        let mut arguments = vec![("types", &*kinds), ("exclude_archived", "false"), ("limit", PAGE)];
        arguments.extend(cursors.current().map(|cursor| ("cursor", cursor)));
        let listed: Listed = match api.ask(cx, &CHANNELS, &arguments).await {
            Err(error) if cursors.expired(&error)? => {
                found.clear();
                continue;
            }
            listed => listed?,
        };
        let rows = listed.channels.len();
        found.extend(listed.channels);
        if !cursors.go_on(listed.response_metadata.and_then(|metadata| metadata.next_cursor), rows)? {
            break;
        }
    }
    // A page token that was given twice, or a channel that moved while the list was read.
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// Each channel is a partition; those that a bot is surely not let into are skipped without asking.
pub(crate) fn plan(channels: &[Channel], stream: Stream, settings: &Settings, is_bot: bool) -> Result<Plan> {
    let mut plan = Plan::default();
    for channel in channels {
        let partition = Partition::new(channel.id.clone());
        let slice = channel.slice(settings.join);
        // Who is in a public channel everybody may ask.
        let is_shut = is_bot && channel.is_member == Some(false) && stream != Stream::Members;
        if is_shut && !slice.join {
            let error = fault::not_in_channel().with_context("channel", &channel.id);
            plan.skipped.push(Skipped { partition: partition.id, error: Arc::new(error) });
            continue;
        }
        plan.partitions.push(partition.with_slice(&slice)?);
    }
    Ok(plan)
}

/// Joins a channel.
///
/// # Errors
/// As the vendor answers.
pub(crate) async fn join(api: &Api, cx: &Context, channel: &str) -> Result<()> {
    tracing::info!(channel, "joins the channel, as `join` says");
    api.post(cx, &JOIN, &serde_json::json!({ "channel": channel })).await.map(drop)
}

/// Whether an error says that only members may read.
pub(crate) fn is_outside(error: &Error) -> bool {
    error.delivery() == Delivery::Answered && fault::has_code(error, "not_in_channel")
}
