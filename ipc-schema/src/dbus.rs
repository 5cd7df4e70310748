//! The names of the service on the D-Bus session bus. The interfaces themselves are in the daemon; their introspection is
//! committed beside this crate.

/// Well-known name of the service, activatable.
pub const BUS_NAME: &str = "org.buttplugd.Buttplug1";

/// The one object that is always there: `ObjectManager` of the devices, and the interface [`SERVER_INTERFACE`].
pub const SERVER_PATH: &str = "/org/buttplugd/Buttplug1";

/// Interface of the object at [`SERVER_PATH`].
pub const SERVER_INTERFACE: &str = "org.buttplugd.Buttplug1.Server";

/// Interface of each device's object.
pub const DEVICE_INTERFACE: &str = "org.buttplugd.Buttplug1.Device";

/// Introspection data of [`SERVER_INTERFACE`], as the service serves it.
pub const SERVER_XML: &str = include_str!("../dbus/org.buttplugd.Buttplug1.Server.xml");

/// Introspection data of [`DEVICE_INTERFACE`], as the service serves it.
pub const DEVICE_XML: &str = include_str!("../dbus/org.buttplugd.Buttplug1.Device.xml");

/// What the names of all our errors begin with; `.Class.Reason` follows.
pub const ERROR_PREFIX: &str = "org.buttplugd.Buttplug1.Error";

/// Path of the object of a device.
pub fn device_path(device_index: u32) -> String {
    format!("{SERVER_PATH}/devices/{device_index}")
}

/// The device behind an object's path; `None` for a path that is no device's.
pub fn device_of_path(path: &str) -> Option<u32> {
    let number = path.strip_prefix(SERVER_PATH)?.strip_prefix("/devices/")?;
    let index = number.parse().ok()?;
    (device_path(index) == path).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_back() {
        assert_eq!(device_path(12), "/org/buttplugd/Buttplug1/devices/12");
        assert_eq!(device_of_path(&device_path(u32::MAX)), Some(u32::MAX));
        for foreign in ["/org/buttplugd/Buttplug1", "/org/buttplugd/Buttplug1/devices/+1", "/x/devices/1", ""]
        {
            assert_eq!(device_of_path(foreign), None, "{foreign}");
        }
    }
}
