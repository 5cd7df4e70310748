//! The protobuf messages of both firmwares, as far as they are sent. Of the answers only what tells an error is read.
//!
//! The vendor's numbers are what matters; names follow the vendor's where there is one.

use prost::Message;

/// Firmware before 4: the outermost message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Payload {
    #[prost(message, repeated, tag = "1")]
    pub(crate) messages: Vec<HandyplugMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HandyplugMessage {
    #[prost(message, optional, tag = "102")]
    pub(crate) ping: Option<Ping>,
    #[prost(message, optional, tag = "403")]
    pub(crate) linear: Option<Linear>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ping {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Linear {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) device_index: u32,
    #[prost(message, repeated, tag = "3")]
    pub(crate) vectors: Vec<Vector>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Vector {
    #[prost(uint32, tag = "1")]
    pub(crate) index: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) duration_ms: u32,
    /// From 0 to 1.
    #[prost(double, tag = "3")]
    pub(crate) position: f64,
}

/// Firmware from 4 on: the outermost message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcMessage {
    /// 1 is a request, 3 a response.
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) request: Option<Request>,
    #[prost(message, optional, tag = "4")]
    pub(crate) response: Option<Response>,
}

pub(crate) const REQUEST: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(uint32, tag = "2")]
    pub(crate) id: u32,
    #[prost(oneof = "Asked", tags = "710, 713, 744, 746, 900, 901")]
    pub(crate) asked: Option<Asked>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Asked {
    #[prost(message, tag = "710")]
    Battery(Nothing),
    #[prost(message, tag = "713")]
    Capabilities(Nothing),
    /// Go to a place in a time.
    #[prost(message, tag = "744")]
    Move(Move),
    /// Stand still.
    #[prost(message, tag = "746")]
    Halt(Nothing),
    #[prost(message, tag = "900")]
    Vibrate(Vibration),
    #[prost(message, tag = "901")]
    VibrateStop(Nothing),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Move {
    /// From 0 to 1.
    #[prost(float, tag = "1")]
    pub(crate) place: f32,
    #[prost(uint32, tag = "2")]
    pub(crate) duration_ms: u32,
    #[prost(bool, tag = "3")]
    pub(crate) stop_on_target: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Vibration {
    /// From 0 to 1.
    #[prost(float, tag = "1")]
    pub(crate) amplitude: f32,
    #[prost(uint32, tag = "2")]
    pub(crate) frequency_hz: u32,
    #[prost(float, tag = "3")]
    pub(crate) position_mm: f32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(uint32, tag = "1")]
    pub(crate) id: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) error: Option<RpcError>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RpcError {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}
