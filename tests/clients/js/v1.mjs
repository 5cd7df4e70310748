// npm `buttplug` 0.13.2: spec v1. Written for browsers, so it is given the WebSocket of the package `ws`.
import { createRequire } from "node:module";

import { folder, leaver, library, play, say, until, url } from "./scene.mjs";

globalThis.WebSocket = createRequire(`${folder}/package.json`)("ws");
const { ButtplugClient, ButtplugBrowserWebsocketClientConnector } = library;

play(async () => {
  const client = new ButtplugClient("scene v1");
  await client.Connect(new ButtplugBrowserWebsocketClientConnector(url));
  say("connected");

  await client.StartScanning();
  const named = () => client.Devices.find((device) => device.Name === leaver);
  await until(client, ["deviceadded"], () => named() && client.Devices.length > 1, "the devices");
  await client.StopScanning();
  say("devices", { names: client.Devices.map((device) => device.Name) });

  const kinds = new Set();
  for (const device of client.Devices) {
    const takes = (message) => device.AllowedMessages.includes(message);
    if (takes("VibrateCmd")) {
      await device.SendVibrateCmd(0.5);
      kinds.add("Vibrate");
    }
    if (takes("RotateCmd")) {
      await device.SendRotateCmd(0.5, false);
      kinds.add("Rotate");
    }
    if (takes("LinearCmd")) {
      await device.SendLinearCmd(0.5, 100);
      kinds.add("HwPositionWithDuration");
    }
    if (takes("VorzeA10CycloneCmd")) await device.SendVorzeA10CycloneCmd(50, true);
    if (takes("FleshlightLaunchFW12Cmd")) await device.SendFleshlightLaunchFW12Cmd(50, 50);
  }
  say("drove", { kinds: [...kinds] });

  say("leave");
  await until(client, ["deviceremoved"], () => !named(), "the device to leave");
  say("left");
  await client.StartScanning();
  await until(client, ["deviceadded"], named, "the device to return");
  await client.StopScanning();
  say("returned");

  await named().SendVibrateCmd(0.75);
  await client.StopAllDevices();
  say("stopped");
  await client.Disconnect();
});
