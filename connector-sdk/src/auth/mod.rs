//! Token sources: how a connection proves who it is, once for all its tasks.
//!
//! | source | for |
//! |---|---|
//! | [`StaticToken`] | a token that somebody else obtained |
//! | [`ClientCredentials`] | OAuth2 as the client itself |
//! | [`RefreshToken`] | OAuth2 as a user who authorised once; the token may rotate |
//! | [`AuthorizationCode`] | how that user authorises: no source, but what a [`RefreshToken`] then finds |
//! | [`JwtBearer`] | OAuth2 as a user who is stated in a signed assertion |
//!
//! Each is given to a client with [`HttpClientBuilder::tokens`](crate::http::HttpClientBuilder::tokens).
//! A source of another kind implements [`TokenSource`] over a [`SingleFlight`].

mod answer;
mod authorization_code;
mod callback;
mod client_credentials;
mod endpoint;
mod fault;
mod fixed;
mod flight;
mod jwt;
mod kept;
mod refresh;
mod token;

pub use authorization_code::{AuthorizationCode, SignIn};
pub use callback::Callback;
pub use client_credentials::ClientCredentials;
pub use endpoint::{ClientAuth, TokenEndpoint};
pub use fixed::StaticToken;
pub use flight::SingleFlight;
pub use jwt::JwtBearer;
pub use refresh::RefreshToken;
pub use token::{Token, TokenSource};
