// npm `buttplug` 3.2.2: spec v3.
import { leaver, library, play, say, until, url } from "./scene.mjs";

const { ButtplugClient, ButtplugNodeWebsocketClientConnector } = library;

play(async () => {
  const client = new ButtplugClient("scene v3");
  await client.connect(new ButtplugNodeWebsocketClientConnector(url));
  say("connected");

  await client.startScanning();
  const named = () => client.devices.find((device) => device.name === leaver);
  await until(client, ["deviceadded"], () => named() && client.devices.length > 1, "the devices");
  await client.stopScanning();
  say("devices", { names: client.devices.map((device) => device.name) });

  const kinds = new Set();
  for (const device of client.devices) {
    if (device.vibrateAttributes.length > 0) {
      await device.vibrate(0.5);
      kinds.add("Vibrate");
    }
    if (device.oscillateAttributes.length > 0) {
      await device.oscillate(0.5);
      kinds.add("Oscillate");
    }
    if (device.rotateAttributes.length > 0) {
      await device.rotate(0.5, false);
      kinds.add("Rotate");
    }
    if (device.linearAttributes.length > 0) {
      await device.linear(0.5, 100);
      kinds.add("HwPositionWithDuration");
    }
    for (const attributes of device.messageAttributes.ScalarCmd ?? []) {
      await device.scalar({ Index: attributes.Index, Scalar: 0.25, ActuatorType: attributes.ActuatorType });
      kinds.add(attributes.ActuatorType);
    }
  }
  say("drove", { kinds: [...kinds] });

  if (!named().hasBattery) throw new Error("the device shows no battery");
  say("battery", { level: await named().battery() });

  say("leave");
  await until(client, ["deviceremoved"], () => !named(), "the device to leave");
  say("left");
  await client.startScanning();
  await until(client, ["deviceadded"], named, "the device to return");
  await client.stopScanning();
  say("returned");

  await named().vibrate(0.75);
  await client.stopAllDevices();
  say("stopped");
  await client.disconnect();
});
