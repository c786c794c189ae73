import init, { run } from "./check.js";

self.onmessage = async ({ data: server }) => {
  try {
    await init();
    self.postMessage(await run(server, "worker"));
  } catch (error) {
    self.postMessage(`FAILED  worker: ${error}`);
  }
};
