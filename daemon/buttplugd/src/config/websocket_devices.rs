//! What the configuration says of devices that dial in over WebSocket.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{ConfigError, value::ListenAddress};

/// Where the devices that people build themselves dial in, by convention.
const PORT: u16 = 54817;

/// Devices that dial in over WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebSocketDevices {
    /// Whether they may.
    pub enabled: bool,
    /// Where they do; a bare port means 127.0.0.1 and ::1.
    pub listen: Vec<ListenAddress>,
    /// Whether addresses that other machines can reach may be listened on.
    pub allow_remote: bool,
}

impl WebSocketDevices {
    /// Where to listen, or why not.
    ///
    /// # Errors
    /// When an address is not a loopback address and [`Self::allow_remote`] is not set.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        let addresses: Vec<SocketAddr> = self.listen.iter().flat_map(ListenAddress::addresses).collect();
        match addresses.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) if !self.allow_remote => {
                Err(ConfigError::NotLoopback("websocket-devices", *address))
            }
            Some(_) | None => Ok(addresses),
        }
    }
}

impl Default for WebSocketDevices {
    fn default() -> Self {
        Self { enabled: false, listen: vec![ListenAddress::Loopback(PORT)], allow_remote: false }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::Config, *};

    fn parse(text: &str) -> Result<WebSocketDevices, ConfigError> {
        Config::parse(text, Path::new("test.toml")).map(|config| config.websocket_devices)
    }

    #[test]
    fn devices_on_other_machines_have_to_be_allowed() {
        let default = parse("").unwrap();
        assert!(!default.enabled && default.addresses().unwrap().iter().all(|at| at.port() == 54817));
        let remote = "[websocket-devices]\nenabled = true\nlisten = [\"0.0.0.0:54817\"]\n";
        let refused = parse(remote).unwrap_err().to_string();
        assert!(refused.contains("websocket-devices.allow-remote"), "{refused}");
        assert!(parse(&format!("{remote}allow-remote = true\n")).is_ok());
    }
}
