// What a page does with Segment's browser library, in jsdom: only the hosts are told.
import { JSDOM } from "jsdom";

const [host, writeKey] = process.argv.slice(2);
const dom = new JSDOM("<!doctype html><title>Tea</title>", {
  url: "https://shop.example/tea",
  pretendToBeVisual: true,
});
for (const name of ["window", "document", "navigator", "location", "localStorage"]) {
  const value = name === "window" ? dom.window : dom.window[name];
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
const sent = [];
const fetching = globalThis.fetch;
const told = async (url, options = {}) => {
  const answer = await fetching(url, options);
  sent.push([new URL(url).pathname, options.headers?.["Content-Type"] ?? "", answer.status]);
  return answer;
};
globalThis.fetch = told;
dom.window.fetch = told;
const { AnalyticsBrowser } = await import("@segment/analytics-next");
const [analytics] = await AnalyticsBrowser.load(
  { writeKey, cdnURL: host },
  { integrations: { "Segment.io": { apiHost: `${new URL(host).host}/v1`, protocol: "http" } } },
);
await analytics.page("Tea");
await analytics.track("Product Viewed", { sku: "tea-1" });
await analytics.identify("ann", { plan: "pro" });
await analytics.group("acme");
await analytics.alias("ann2");
await new Promise((done) => setTimeout(done, 1000));
console.log(JSON.stringify(sent));
process.exit(0);
