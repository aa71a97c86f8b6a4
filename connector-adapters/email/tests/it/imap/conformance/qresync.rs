//! Against a server in mode `Qresync`.

use connector_testkit::{conformance::World, mail::Capabilities};

use super::post::Post;

connector_testkit::conformance!(start);

async fn start(world: World) -> Post {
    Post::start(world, Capabilities::Qresync).await
}
