// RudderStack's Node SDK: only the data plane's URL is told.
import Rudder from "@rudderstack/rudder-sdk-node";

const [host, writeKey] = process.argv.slice(2);
const client = new Rudder(writeKey, { dataPlaneUrl: host, flushAt: 2, gzip: false });
client.identify({ userId: "ann", traits: { plan: "pro" } });
client.track({ userId: "ann", event: "Product Added", properties: { sku: "tea-1" } });
client.page({ userId: "ann", name: "Home" });
client.group({ userId: "ann", groupId: "acme" });
for (let turn = 0; turn < 5; turn++) {
  await client.flush(); // one flush is one batch
  await new Promise((done) => setTimeout(done, 200));
}
console.log("[]");
process.exit(0);
