// Starts the official aws-lambda-ric on the handler, with our socket client in place of its compiled one.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const Module = require('node:module');
const client = require('./rapid_client.cjs');

const load = Module._load;
Module._load = function (request, ...rest) {
  return request.endsWith('rapid-client.node') ? client : load.call(this, request, ...rest);
};

const ric = `${process.env.LAMBDA_RUNTIME_DIR}/node_modules/aws-lambda-ric/dist/index.mjs`;
const { run } = await import(pathToFileURL(ric).href);
await run(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
