// A warehouse from its making to its end, over Segment's Public API with the official SDK.
import api from "@segment/public-api-sdk-typescript";

const [host, token, sourceId] = process.argv.slice(2);
const made = (Api) => {
  const one = new Api(`${host}/segmentapis`);
  one.accessToken = token;
  return one;
};
const warehouses = made(api.WarehousesApi);
const selective = made(api.SelectiveSyncApi);
const data = async (answer) => (await answer).body.data;
const page = { count: 10 };

const kinds = await data(made(api.CatalogApi).getWarehousesCatalog(page));
const duckdb = kinds.warehousesCatalog.find((kind) => kind.slug === "duckdb");
const settings = { file: "by-sdk.duckdb" };
const checked = await data(
  warehouses.createValidationInWarehouse({ metadataId: duckdb.id, settings }),
);
const { warehouse } = await data(
  warehouses.createWarehouse({ metadataId: duckdb.id, name: "By SDK", settings }),
);
const connected = await data(warehouses.addConnectionFromSourceToWarehouse(warehouse.id, sourceId));
const sources = await data(warehouses.listConnectedSourcesFromWarehouse(warehouse.id, page));
const updated = await data(
  warehouses.updateWarehouse(warehouse.id, { settings: { textLength: 100 } }),
);
const times = [{ hourOfDay: 3, enabled: true }];
await selective.replaceAdvancedSyncScheduleForWarehouse(warehouse.id, {
  enabled: true,
  schedule: { times, timezone: "Europe/Rome" },
});
const schedule = await data(selective.getAdvancedSyncScheduleFromWarehouse(warehouse.id));
await fetch(`${host}/segmentapis/warehouses/${warehouse.id}/syncs`, {
  method: "POST",
  headers: { Authorization: `Bearer ${token}` },
});
let reports = [];
while (!reports.length || reports[0].status === "RUNNING") {
  await new Promise((done) => setTimeout(done, 100));
  reports = (await data(selective.listSyncsFromWarehouse(warehouse.id, page))).reports;
}
const override = { sourceId, collection: "product_added", property: "sku", enabled: false };
const selected = await data(
  selective.updateSelectiveSyncForWarehouse(warehouse.id, { syncOverrides: [override] }),
);
const { items } = await data(
  selective.listSelectiveSyncsFromWarehouseAndSource(warehouse.id, sourceId, page),
);
const mine = await data(selective.listSyncsFromWarehouseAndSource(warehouse.id, sourceId, page));
const state = await data(warehouses.getConnectionStateFromWarehouse(warehouse.id));
const listed = (await data(warehouses.listWarehouses({ count: 100 }))).warehouses;
await warehouses.removeSourceConnectionFromWarehouse(warehouse.id, sourceId);
await warehouses.deleteWarehouse(warehouse.id);
const gone = await warehouses.getWarehouse(warehouse.id).catch((error) => error.statusCode);
console.log(
  JSON.stringify({
    checked: checked.status,
    name: warehouse.settings.name,
    connected: connected.status,
    sources: sources.sources.map((source) => source.id),
    textLength: updated.warehouse.settings.textLength,
    schedule,
    report: [reports[0].status, reports[0].count, reports[0].sourceId],
    selected: selected.status,
    sku: items.find((item) => item.collection === "product_added").properties.sku,
    mine: mine.reports.length,
    state: state.connectionState,
    listed: listed.some((one) => one.id === warehouse.id),
    gone,
  }),
);
