//! The golden vectors of this folder, run without the C ABI. The service's own tests run them through the loaded library.

#[test]
fn vectors() {
    plugin_sdk::vectors::assert_all(env!("CARGO_MANIFEST_DIR"), &buttplug_umove::direct);
}
