"""PyPI `buttplug` 0.3.0: spec v1."""

from buttplug.client import ButtplugClient, ButtplugClientWebsocketConnector
from scene import LEAVER, URL, play, say, until


async def scene():
    client = ButtplugClient("scene v1")
    await client.connect(ButtplugClientWebsocketConnector(URL))
    say("connected")

    def named():
        return next((device for device in client.devices.values() if device.name == LEAVER), None)

    await client.start_scanning()
    await until(lambda: named() and len(client.devices) > 1, "the devices")
    await client.stop_scanning()
    say("devices", names=[device.name for device in client.devices.values()])

    kinds = set()
    for device in list(client.devices.values()):
        if "VibrateCmd" in device.allowed_messages:
            await device.send_vibrate_cmd(0.5)
            kinds.add("Vibrate")
        if "RotateCmd" in device.allowed_messages:
            await device.send_rotate_cmd((0.5, False))
            kinds.add("Rotate")
        if "LinearCmd" in device.allowed_messages:
            await device.send_linear_cmd((100, 0.5))
            kinds.add("HwPositionWithDuration")
    say("drove", kinds=sorted(kinds))

    say("leave")
    await until(lambda: named() is None, "the device to leave")
    say("left")
    await client.start_scanning()
    await until(named, "the device to return")
    await client.stop_scanning()
    say("returned")

    await named().send_vibrate_cmd(0.75)
    for device in client.devices.values():
        await device.send_stop_device_cmd()
    say("stopped")
    await client.disconnect()


play(scene)
