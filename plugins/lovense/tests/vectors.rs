//! The golden vectors of this folder, run without the C ABI. The service's own tests run them through the loaded library.

use std::path::Path;

#[test]
fn vectors() {
    let ran = plugin_sdk::vectors::check(Path::new(env!("CARGO_MANIFEST_DIR")), &buttplug_lovense::direct);
    match ran {
        Ok(ran) => assert!(ran > 0),
        Err(error) => panic!("{error}"),
    }
}
