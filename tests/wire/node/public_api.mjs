// A script over Segment's Public API with the official SDK: only the base path is told.
import api from "@segment/public-api-sdk-typescript";

const [host, token] = process.argv.slice(2);
const base = `${host}/segmentapis`;
const made = (Api) => {
  const one = new Api(base);
  one.accessToken = token;
  return one;
};
const sources = made(api.SourcesApi);
const destinations = made(api.DestinationsApi);
const filters = made(api.DestinationFiltersApi);
const workspace = (await made(api.WorkspacesApi).getWorkspace()).body.data.workspace;
const input = { slug: "by-sdk", enabled: true, metadataId: "HTTP API", settings: {} };
const source = (await sources.createSource(input)).body.data.source;
const destination = (
  await destinations.createDestination({
    sourceId: source.id,
    metadataId: "tailorbird-webhooks",
    name: "Hook",
    enabled: false,
    settings: { url: "https://example.com/" },
  })
).body.data.destination;
const filter = (
  await filters.createFilterForDestination(destination.id, {
    sourceId: source.id,
    _if: "all",
    if: "all",
    actions: [{ type: "DROP" }],
    title: "none",
    enabled: true,
  })
).body.data.filter;
const overview = made(api.DeliveryOverviewApi);
const received = await overview.getIngressSuccessMetricsFromDeliveryOverview(
  source.id, "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z", "DAY", { count: 10 },
);
const kinds = await made(api.CatalogApi).getDestinationsCatalog({ count: 10 });
await destinations.deleteDestination(destination.id);
await sources.deleteSource(source.id);
console.log(
  JSON.stringify({
    workspace: workspace.slug,
    source: source.slug,
    destination: destination.name,
    filter: filter.title,
    total: received.body.data.total,
    kinds: kinds.body.data.destinationsCatalog.length > 0,
  }),
);
