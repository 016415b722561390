//! [`AccessTokens`].

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::{INVALID_TOKEN, Problem};
use crate::event::WorkspaceId;

/// The bearer tokens of an [`Api`](super::Api): each gives access to one workspace. A workspace may have several,
/// for instance while a new one replaces an old one.
///
/// A token has 32 to 256 visible ASCII characters, at random: `openssl rand -hex 32` makes one. Only the SHA-256
/// of a token is kept, and it is compared in constant time. `Debug` shows how many tokens there are.
///
/// ```
/// use whatsapp_phone::server::AccessTokens;
///
/// let tokens = AccessTokens::default()
///     .allow(7, "5f0e3c9a1d7b4286a94be1c07d3f5e82")?
///     .allow(7, "c41d8e02b7f95a6390ac2e7f1b08d46d")?;
/// assert_eq!(format!("{tokens:?}"), "AccessTokens(2)");
/// assert!(tokens.allow(8, "short").is_err());
/// # Ok::<(), whatsapp_phone::server::TokenError>(())
/// ```
#[derive(Clone, Default)]
pub struct AccessTokens(HashMap<TokenHash, WorkspaceId>);

/// Why a token cannot be used. Never contains the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is too short or too long.
    #[error("an access token has {characters} characters; it must have 32 to 256")]
    Length {
        /// How many it has.
        characters: usize,
    },
    /// It has other characters.
    #[error("an access token must consist of visible ASCII characters, without spaces")]
    Characters,
    /// Another workspace has the same token.
    #[error("two workspaces have the same access token; make a new one for each")]
    Shared,
}

impl AccessTokens {
    /// Allows access to a workspace by this token.
    ///
    /// # Errors
    ///
    /// If the token is too short, has other characters, or is that of another workspace.
    pub fn allow(
        mut self,
        workspace: impl Into<WorkspaceId>,
        token: &str,
    ) -> Result<Self, TokenError> {
        let characters = token.chars().count();
        if !(32..=256).contains(&characters) {
            return Err(TokenError::Length { characters });
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        let workspace = workspace.into();
        let before = self.0.insert(TokenHash::of(token), workspace.clone());
        match before.is_none_or(|before| before == workspace) {
            true => Ok(self),
            false => Err(TokenError::Shared),
        }
    }

    /// Returns the workspace to which a request has access.
    pub(super) fn workspace(&self, headers: &HeaderMap) -> Result<&WorkspaceId, Problem> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let token = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(bearer),
            _ => None,
        };
        let workspace = token.and_then(|token| self.0.get(&TokenHash::of(token)));
        workspace.ok_or(INVALID_TOKEN)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim_start_matches(' '))
}

/// The SHA-256 of a token, compared in constant time.
#[derive(Clone, Eq)]
struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessTokens({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const OLD: &str = "5f0e3c9a1d7b4286a94be1c07d3f5e82";
    const NEW: &str = "c41d8e02b7f95a6390ac2e7f1b08d46d";

    #[test]
    fn each_token_gives_access_to_its_workspace_alone() {
        let tokens = AccessTokens::default().allow(7, OLD).unwrap();
        let tokens = tokens.allow(7, NEW).unwrap().allow(8, &NEW.to_uppercase());
        let tokens = tokens.unwrap();
        for (value, workspace) in [
            (format!("Bearer {OLD}"), Some("7")),
            (format!("bearer  {NEW}"), Some("7")),
            (format!("BEARER {}", NEW.to_uppercase()), Some("8")),
            (format!("Bearer {OLD} "), None),
            (format!("Bearer {}", &OLD[1..]), None),
            (format!("Bearer {OLD}0"), None),
            (format!("Bearer {OLD},{NEW}"), None),
            (format!("Basic {OLD}"), None),
            (OLD.to_owned(), None),
            ("Bearer ".to_owned(), None),
            (String::new(), None),
        ] {
            let mut headers = HeaderMap::new();
            assert!(tokens.workspace(&headers).is_err());
            headers.append(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
            let found = tokens.workspace(&headers).ok().map(WorkspaceId::as_str);
            assert_eq!(found, workspace, "{value}");
            headers.append(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
            assert!(tokens.workspace(&headers).is_err(), "{value} twice");
        }
    }

    #[test]
    fn a_weak_or_shared_token_is_refused_without_being_shown() {
        let tokens = AccessTokens::default().allow(7, OLD).unwrap();
        let refused = |token: &str| tokens.clone().allow(8, token).unwrap_err();
        let characters = 31;
        assert_eq!(refused(&OLD[1..]), TokenError::Length { characters });
        let characters = 257;
        assert_eq!(refused(&"x".repeat(257)), TokenError::Length { characters });
        assert_eq!(refused(&OLD.replace('0', " ")), TokenError::Characters);
        assert_eq!(refused(&OLD.replace('0', "ä")), TokenError::Characters);
        assert_eq!(refused(OLD), TokenError::Shared);
        assert!(!format!("{tokens:?}").contains(&OLD[..4]));
    }
}
