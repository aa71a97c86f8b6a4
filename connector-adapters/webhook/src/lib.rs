#![doc = include_str!("../README.md")]

mod receiver;
mod sender;

use connector_sdk::Factory;

pub use receiver::{EndpointConfig, Gate, RateConfig, Receiver, ReceiverConfig, RememberConfig};
pub use sender::{Sender, SenderConfig};

#[doc = include_str!("receiver/README.md")]
///
/// ```
/// use connector_sdk::Factory;
/// assert_eq!(connector_webhook::receiver().manifest().id().as_str(), "webhook/receiver");
/// ```
pub fn receiver() -> impl Factory {
    receiver::factory(None)
}

/// The same for a host with a server of its own: connections without `listen` are called at the [`Gate`].
pub fn receiver_at(gate: &Gate) -> impl Factory + use<> {
    receiver::factory(Some(gate.clone()))
}

#[doc = include_str!("sender/README.md")]
///
/// ```
/// use connector_sdk::Factory;
/// assert_eq!(connector_webhook::sender().manifest().id().as_str(), "webhook/sender");
/// ```
pub fn sender() -> impl Factory {
    sender::factory()
}
