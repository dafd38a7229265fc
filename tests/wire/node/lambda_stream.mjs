// A streamed invocation with the AWS SDK for JavaScript v3: only the endpoint is told.
import { InvokeWithResponseStreamCommand, LambdaClient } from "@aws-sdk/client-lambda";

const client = new LambdaClient({ region: "us-east-1" });
const Payload = JSON.stringify({ pieces: 2, ms: 50, fails: true });
const command = new InvokeWithResponseStreamCommand({ FunctionName: process.argv[2], Payload });
const { EventStream } = await client.send(command);
const kinds = [];
let text = "";
let error;
for await (const event of EventStream) {
  kinds.push(Object.keys(event)[0]);
  if (event.PayloadChunk) text += new TextDecoder().decode(event.PayloadChunk.Payload);
  if (event.InvokeComplete) error = event.InvokeComplete.ErrorCode;
}
console.log(JSON.stringify({ text, kinds, error }));
