// What a customer's own script does with Segment's Node SDK: only the host is told.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey] = process.argv.slice(2);
const failures = [];
const analytics = new Analytics({ writeKey, host, flushAt: 5 });
analytics.on("error", (error) => failures.push(String(error.reason ?? error)));

analytics.identify({ userId: "ann", traits: { email: "ann@example.com", plan: "pro" } });
for (let n = 0; n < 20; n++) {
  analytics.track({ userId: "ann", event: "Product Added", properties: { sku: `s${n}` } });
}
analytics.page({ anonymousId: "anon", name: "Home" });
analytics.screen({ userId: "ann", name: "Cart" });
analytics.group({ userId: "ann", groupId: "acme", traits: { seats: 3 } });
analytics.alias({ userId: "ann", previousId: "anon" });
await analytics.closeAndFlush({ timeout: 20000 });
console.log(JSON.stringify({ failures }));
