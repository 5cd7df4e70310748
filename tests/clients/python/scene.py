"""What every Python program shares: how it says its steps, and how it waits."""

import asyncio
import json
import sys

LIMIT_S = 20

URL, LEAVER = sys.argv[1:3]


def say(step, **details):
    print(json.dumps({"step": step, **details}), flush=True)


async def until(ready, what):
    """The libraries have callbacks of different shapes, so this asks again and again, for a limited time."""

    async def ask():
        while not ready():
            await asyncio.sleep(0.02)

    try:
        await asyncio.wait_for(ask(), LIMIT_S)
    except asyncio.TimeoutError:
        raise SystemExit(f"waited in vain for {what}") from None


def play(scene):
    asyncio.run(asyncio.wait_for(scene(), 3 * LIMIT_S))
    say("done")
