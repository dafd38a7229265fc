// What a customer's own script does with the AWS SDK for JavaScript v3: only the endpoint is told.
import {
  CreateAppCommand,
  GetAppCommand,
  GetEndpointCommand,
  PinpointClient,
  UpdateEndpointCommand,
} from "@aws-sdk/client-pinpoint";

const client = new PinpointClient({ region: "eu-west-1" });
const created = await client.send(
  new CreateAppCommand({ CreateApplicationRequest: { Name: "from javascript", tags: { a: "b" } } }),
);
const ApplicationId = created.ApplicationResponse.Id;
await client.send(
  new UpdateEndpointCommand({
    ApplicationId,
    EndpointId: "Ann/é",
    EndpointRequest: {
      ChannelType: "EMAIL",
      Address: "ann@example.com",
      Attributes: { Interests: ["tea", "kettles"] },
      Metrics: { visits: 2.5 },
    },
  }),
);
const endpoint = await client.send(new GetEndpointCommand({ ApplicationId, EndpointId: "Ann/é" }));
let refusal;
try {
  await client.send(new GetAppCommand({ ApplicationId: "0".repeat(32) }));
} catch (error) {
  refusal = { name: error.name, status: error.$metadata.httpStatusCode };
}
console.log(
  JSON.stringify({
    arn: created.ApplicationResponse.Arn,
    status: created.$metadata.httpStatusCode,
    attributes: endpoint.EndpointResponse.Attributes,
    metrics: endpoint.EndpointResponse.Metrics,
    refusal,
  }),
);
