import { readFile } from "node:fs/promises";

import init, { run } from "./check.js";

const page = new URL(process.argv[2]);
await init({ module_or_path: await readFile(new URL("check_bg.wasm", import.meta.url)) });
const text = await run(page.searchParams.get("server"), `Node.js ${process.version}`);
await fetch(new URL("result", page), { method: "POST", body: text });
