//! How [`ToCoord`] and [`Signal`] are read: all fields of all kinds at once. What serde
//! makes of a tagged enum keeps every field in memory of its own until it has seen the
//! tag, and the server reads a great many of these.

use serde::Deserialize;

use super::{Signal, ToCoord};
use crate::{ChunkSet, ContentId, GroupId, PeerId};

/// A field that its kind needs is not there.
#[derive(Debug, thiserror::Error)]
#[error("missing field `{0}`")]
pub(super) struct Missing(&'static str);

/// The fields of every [`ToCoord`].
#[derive(Deserialize)]
pub(super) struct ToCoordFields {
    r#type: ToCoordType,
    version: Option<u16>,
    group: Option<GroupId>,
    content: Option<ContentId>,
    want: Option<u8>,
    #[serde(default)]
    have: Option<ChunkSet>,
    to: Option<PeerId>,
    signal: Option<Signal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ToCoordType {
    Hello,
    Join,
    Have,
    Leave,
    Signal,
}

impl TryFrom<ToCoordFields> for ToCoord {
    type Error = Missing;

    fn try_from(fields: ToCoordFields) -> Result<Self, Missing> {
        let ToCoordFields { r#type, version, group, content, want, have, to, signal } = fields;
        let content = content.ok_or(Missing("content"));
        Ok(match r#type {
            ToCoordType::Hello => Self::Hello {
                version: version.ok_or(Missing("version"))?,
                group: group.ok_or(Missing("group"))?,
            },
            ToCoordType::Join => Self::Join {
                content: content?,
                want: want.ok_or(Missing("want"))?,
                have: have.unwrap_or_default(),
            },
            ToCoordType::Have => {
                Self::Have { content: content?, have: have.ok_or(Missing("have"))? }
            }
            ToCoordType::Leave => Self::Leave { content: content? },
            ToCoordType::Signal => Self::Signal {
                to: to.ok_or(Missing("to"))?,
                signal: signal.ok_or(Missing("signal"))?,
            },
        })
    }
}

/// The fields of every [`Signal`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignalFields {
    kind: SignalKind,
    sdp: Option<String>,
    candidate: Option<String>,
    sdp_mid: Option<String>,
    sdp_m_line_index: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum SignalKind {
    Offer,
    Answer,
    Candidate,
}

impl TryFrom<SignalFields> for Signal {
    type Error = Missing;

    fn try_from(fields: SignalFields) -> Result<Self, Missing> {
        let SignalFields { kind, sdp, candidate, sdp_mid, sdp_m_line_index } = fields;
        let sdp = sdp.ok_or(Missing("sdp"));
        Ok(match kind {
            SignalKind::Offer => Self::Offer { sdp: sdp? },
            SignalKind::Answer => Self::Answer { sdp: sdp? },
            SignalKind::Candidate => Self::Candidate {
                candidate: candidate.ok_or(Missing("candidate"))?,
                sdp_mid,
                sdp_m_line_index,
            },
        })
    }
}
