//! What a plugin is told: structs that the host fills and the plugin only reads, all of them valid during one call.

use crate::{Bytes, Str};

/// `bp_endpoint`: one place in a transport.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// What operations and events name, counted from 0.
    pub id: u32,
    /// Flags of [`crate::endpoint_flag`].
    pub flags: u32,
    /// As in the definition.
    pub name: Str,
}

/// `bp_param`: a string of the definition.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its key.
    pub key: Str,
    /// Its value.
    pub value: Str,
}

/// `bp_manufacturer_data`: one entry of a Bluetooth advertisement.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ManufacturerData {
    /// The company number.
    pub company: u32,
    /// Zero.
    pub reserved: u32,
    /// The bytes after the company number.
    pub data: Bytes,
}

/// `bp_device_info`: what is known before a byte has been exchanged.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct DeviceInfo {
    /// Bytes of this struct that the host knew.
    pub struct_size: u32,
    /// One of [`crate::transport`].
    pub transport: u32,
    /// The only randomness there is.
    pub seed: u64,
    /// Id of the protocol for which the device was recognised.
    pub protocol: Str,
    /// The advertised name, or empty.
    pub name: Str,
    /// The Bluetooth address, or empty.
    pub address: Str,
    /// USB vendor, or 0.
    pub vendor: u32,
    /// USB product, or 0.
    pub product: u32,
    /// Array of `manufacturer_data_count`.
    pub manufacturer_data: *const ManufacturerData,
    /// Length of `manufacturer_data`.
    pub manufacturer_data_count: usize,
    /// Array of `endpoint_count`.
    pub endpoints: *const Endpoint,
    /// Length of `endpoints`.
    pub endpoint_count: usize,
    /// Array of `param_count`.
    pub params: *const Param,
    /// Length of `params`.
    pub param_count: usize,
}

/// `bp_output_range`: one output of a feature.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRange {
    /// One of [`crate::output_kind`].
    pub kind: u32,
    /// Lowest value.
    pub min: i32,
    /// Highest value.
    pub max: i32,
    /// Zero.
    pub reserved: u32,
    /// Shortest duration, 0 where the kind has none.
    pub duration_min_ms: u32,
    /// Longest duration, 0 where the kind has none.
    pub duration_max_ms: u32,
}

/// `bp_input_range`: one input of a feature.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputRange {
    /// One of [`crate::input_kind`].
    pub kind: u32,
    /// Lowest value.
    pub min: i32,
    /// Highest value.
    pub max: i32,
    /// Flags of [`crate::way`].
    pub ways: u32,
}

/// `bp_feature`: one addressable ability of a model.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Feature {
    /// As in the definition.
    pub index: u32,
    /// Zero.
    pub reserved: u32,
    /// Array of `output_count`.
    pub outputs: *const OutputRange,
    /// Length of `outputs`.
    pub output_count: usize,
    /// Array of `input_count`.
    pub inputs: *const InputRange,
    /// Length of `inputs`.
    pub input_count: usize,
}

/// `bp_model`: the model as the definition knows it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Bytes of this struct that the host knew.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// What identification gave.
    pub identifier: Str,
    /// The variant that the definition names, or empty.
    pub variant: Str,
    /// Array of `feature_count`, in rising index.
    pub features: *const Feature,
    /// Length of `features`.
    pub feature_count: usize,
}

/// `bp_output`: the value that an output shall have.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Index of the feature.
    pub feature: u32,
    /// One of [`crate::output_kind`].
    pub kind: u32,
    /// Inside the range of the model.
    pub value: i32,
    /// Time of the movement, 0 where the kind has none.
    pub duration_ms: u32,
}

/// `bp_input`: what is wanted of an input.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Index of the feature.
    pub feature: u32,
    /// One of [`crate::input_kind`].
    pub kind: u32,
    /// One of [`crate::want`].
    pub want: u32,
    /// Zero.
    pub reserved: u32,
}

/// `bp_event`: something that happened.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// One of [`crate::event_kind`].
    pub kind: u32,
    /// Endpoint or timer.
    pub id: u32,
    /// The bytes, where the kind has some.
    pub data: Bytes,
}
