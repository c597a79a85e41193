//! Buyers' JWTs: who a caller is, vouched for by the merchant or, for guests, by this install.

use std::fmt;

use axum::http::HeaderMap;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::jwk::{KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use sale::id::BuyerId;
use sale::time::Timestamp;
use serde::Deserialize;

use crate::guest;
use crate::secrets::Secrets;
