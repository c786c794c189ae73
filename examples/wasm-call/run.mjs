// node run.mjs MODULE: the module imports nothing, and its calls come to what they should.
import { readFileSync } from "node:fs";

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
for (const { module, name, kind } of imports) {
  console.error(`error: the module imports the ${kind} ${module}.${name}`);
}
if (imports.length > 0) process.exit(1);

// The arguments of C's main: none.
const status = new WebAssembly.Instance(module).exports.main(0, 0);
if (status !== 0) {
  console.error(`error: the calls in the module failed, with status ${status}`);
  process.exit(1);
}
console.log("the module imports nothing, and its calls come to what they should");
