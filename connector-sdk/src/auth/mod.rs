//! Token sources: how a connection proves who it is, once for all its tasks.
//!
//! | source | for |
//! |---|---|
//! | [`StaticToken`] | a token that somebody else obtained: an access token, a bot's, or that of a session |
//! | [`ApiKey`] | a key in a header or in the query |
//! | [`Basic`] | user and password |
//! | [`ClientCredentials`] | OAuth2 as the client itself |
//! | [`RefreshToken`] | OAuth2 as a user who authorised once; the token may rotate |
//! | [`AuthorizationCode`] | how that user authorises: no source, but what a [`RefreshToken`] then finds |
//! | [`JwtBearer`] | OAuth2 as a user who is stated in a signed assertion |
//! | [`Rotating`] | any of these whose secret may be changed while it is used |
//! | [`SamlBearer`] | the same, for a vendor that wants the assertion in XML |
//!
//! Each is given to a client with [`HttpClientBuilder::tokens`](crate::http::HttpClientBuilder::tokens).
//! A source of another kind implements [`TokenSource`] over a [`SingleFlight`].

mod answer;
mod api_key;
mod authorization_code;
mod basic;
mod bearer;
mod callback;
mod client_credentials;
mod endpoint;
mod fault;
mod fixed;
mod flight;
mod jwt;
mod kept;
mod owner;
mod refresh;
mod rotating;
mod saml;
mod signing;
mod source;
mod token;

pub use api_key::ApiKey;
pub use authorization_code::{AuthorizationCode, SignIn};
pub use basic::Basic;
pub use callback::Callback;
pub use client_credentials::ClientCredentials;
pub use endpoint::{ClientAuth, TokenEndpoint};
pub use fixed::StaticToken;
pub use flight::SingleFlight;
pub use jwt::JwtBearer;
pub use refresh::RefreshToken;
pub use rotating::Rotating;
pub use saml::SamlBearer;
pub use signing::{SigningAlgorithm, SigningKey};
pub use token::{Token, TokenSource};
