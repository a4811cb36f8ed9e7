//! Tokens in our own service: made, listed and revoked by whoever administers it, and redeemed by anyone who has one.

use std::sync::Arc;

use auth_core::{Actor, Administrator, Authority, ClientName, Denied, Moment, TokenId, TokenLife};
use rpc::trust::{
    CreateTokenReply, CreateTokenRequest, ListTokensReply, ListTokensRequest, RedeemTokenReply,
    RedeemTokenRequest, RevokeTokenReply, RevokeTokenRequest, Token,
};
use tonic::Status;

use super::trust::{parse_level, parse_name};
use super::{PeerSession, Service, status};
use crate::audit::Refusals;
use crate::logging::with_causes;
use crate::server_identity;
use crate::timestamp::rfc3339_seconds;

/// Makes a token, and tells all that its holder needs to reach the service and to know it.
pub(super) async fn create(
    service: &Service,
    by: &Administrator,
    request: CreateTokenRequest,
) -> Result<CreateTokenReply, Status> {
    let name: Option<ClientName> = match request.name.as_str() {
        "" => None,
        name => Some(parse_name(name)?),
    };
    let level = parse_level(&request.level)?;
    let life = TokenLife::of_seconds(request.seconds)
        .map_err(|error| Status::invalid_argument(format!("The token was not made: {error}.")))?;
    let addresses = service.addresses.iter().map(ToString::to_string).collect();
    let (by, data) = (by.clone(), service.data.clone());
    let create = move |authority: &Authority| {
        // First: a token without it is of no use on other machines.
        let root_fingerprint = server_identity::root_fingerprint(&data).map_err(|error| {
            tracing::error!("a token was not made: {}", with_causes(&error));
            status::internal()
        })?;
        let made = authority
            .create_token(&by, name, level, life, Moment::now())
            .map_err(|error| status::not_changed("The token was not made", &error))?;
        tracing::info!("{} made the token {} of the level {level}", by.actor(), made.token.id);
        Ok(CreateTokenReply {
            id: made.token.id.to_string(),
            secret: std::mem::take(&mut *made.secret.to_hex()),
            expires: rfc3339_seconds(made.token.expires),
            addresses,
            root_fingerprint: root_fingerprint.map(|root| root.to_string()).unwrap_or_default(),
        })
    };
    service.blocking(create).await?
}

/// Lists the tokens that may still be redeemed.
pub(super) async fn list(
    service: &Service,
    by: &Administrator,
    _: ListTokensRequest,
) -> Result<ListTokensReply, Status> {
    let tokens = service
        .authority
        .tokens(by, Moment::now())
        .map_err(|error| status::not_changed("The tokens cannot be listed", &error))?;
    Ok(ListTokensReply { tokens: tokens.into_iter().map(message).collect() })
}

fn message(token: auth_core::Token) -> Token {
    let auth_core::Token { id, name, level, created, expires, by } = token;
    Token {
        id: id.to_string(),
        name: name.map(|name| name.to_string()).unwrap_or_default(),
        level: level.to_string(),
        created: rfc3339_seconds(created),
        expires: rfc3339_seconds(expires),
        by: match by {
            Actor::Client(client) => client.to_string(),
            Actor::Administrator => "root".to_owned(),
        },
    }
}

/// Ends a token.
pub(super) async fn revoke(
    service: &Service,
    by: &Administrator,
    request: RevokeTokenRequest,
) -> Result<RevokeTokenReply, Status> {
    let id: TokenId = request
        .id
        .parse()
        .map_err(|error| Status::invalid_argument(format!("That names no token: {error}.")))?;
    let by = by.clone();
    let revoke = move |authority: &Authority| {
        authority
            .revoke_token(&by, id, Moment::now())
            .map_err(|error| status::not_changed("The token was not revoked", &error))?;
        tracing::info!("{} revoked the token {id}", by.actor());
        Ok(RevokeTokenReply {})
    };
    service.blocking(revoke).await?
}

/// Trusts who has a token.
pub(super) async fn redeem(
    service: &Service,
    session: &Arc<PeerSession>,
    mut request: RedeemTokenRequest,
) -> Result<RedeemTokenReply, Status> {
    let secret = request.take_secret();
    let presented = service
        .authority
        .present_token(session.caller(), &secret)
        .map_err(|denied| refuse(&service.refusals, session, &denied))?;
    let (refusals, redeemer) = (service.refusals.clone(), Arc::clone(session));
    let (client, name) = service
        .in_turn(&service.redemptions, move |authority| {
            // Logged where it is decided: the caller may leave before that, and does not take it back.
            match authority.redeem(&presented, Moment::now()) {
                Ok((client, name)) => {
                    let (id, channel) = (presented.id(), &redeemer.caller().channel);
                    tracing::info!(
                        "{} from {channel} redeemed the token {id}, and is trusted at the level {}",
                        client.client(),
                        client.level()
                    );
                    Ok((client, name))
                }
                Err(denied) => Err(refuse(&refusals, &redeemer, &denied)),
            }
        })
        .await??;
    session.admit_client(&client);
    Ok(RedeemTokenReply {
        name: name.map(|name| name.to_string()).unwrap_or_default(),
        level: client.level().to_string(),
    })
}

fn refuse(refusals: &Refusals, session: &PeerSession, denied: &Denied) -> Status {
    refusals.record("RedeemToken", session.caller(), denied);
    status::not_redeemed(denied)
}
