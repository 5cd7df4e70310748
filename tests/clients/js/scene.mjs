// What every JavaScript program shares: how it says its steps, and how it waits.
import { createRequire } from "node:module";

const LIMIT_MS = 20_000;

export const [url, leaver, folder] = process.argv.slice(2);

/** The library, out of the folder that it was installed in. */
export const library = createRequire(`${folder}/package.json`)("buttplug");

export function say(step, details = {}) {
  console.log(JSON.stringify({ step, ...details }));
}

/** Waits until `ready` holds, asking again whenever one of the events comes. */
export function until(emitter, events, ready, what) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), LIMIT_MS);
    const look = () => {
      if (!ready()) return;
      clearTimeout(timer);
      events.forEach((event) => emitter.off(event, look));
      resolve();
    };
    events.forEach((event) => emitter.on(event, look));
    look();
  });
}

/** Fails unless the promise is refused. */
export async function refused(promise, what) {
  const outcome = await promise.then(() => "taken", () => "refused");
  if (outcome !== "refused") throw new Error(`${what} was taken`);
}

export function play(scene) {
  const timer = setTimeout(() => {
    console.error("the scene took too long");
    process.exit(1);
  }, 3 * LIMIT_MS);
  scene().then(
    () => {
      clearTimeout(timer);
      say("done");
      process.exit(0);
    },
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}
