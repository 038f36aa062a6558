// The main job with the types that openapi-typescript makes of docs/openapi.json: `node job.js URL PASSWORD`.
import createClient from "openapi-fetch";

import type { paths } from "./schema.js";

const [url, password] = process.argv.slice(2) as [string, string];
const api = createClient<paths>({ baseUrl: url });

function answer<Data>(reply: { data?: Data; error?: unknown; response: Response }): Data {
  if (reply.data === undefined) throw new Error(`${reply.response.url} ${reply.response.status} ${JSON.stringify(reply.error)}`);
  return reply.data;
}

const { token } = answer(await api.POST("/auth-token/", { body: { username: "admin", password } }));
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
});

const one = answer(await api.POST("/api/clients/", { body: { phone_number: "+79161234601", tag: "typescript" } }));

const file = "phone_number,tag\n+79161234602,typescript\n+79161234603,typescript\nnobody,typescript\n";
const upload = {
  body: file,
  bodySerializer: (text: string) => text,
  headers: { "Content-Type": "application/octet-stream" },
  params: { query: { mode: "replace" as const } },
};
const checked = answer(await api.POST("/api/clients/imports/check/", upload));
const { id } = answer(await api.POST("/api/clients/imports/", upload));
const path = { path: { import_id: id } };
let imported = answer(await api.GET("/api/clients/imports/{import_id}/", { params: path }));
for (let looks = 0; imported.status !== "finished" && looks < 300; looks++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  imported = answer(await api.GET("/api/clients/imports/{import_id}/", { params: path }));
}
const rejected = answer(await api.GET("/api/clients/imports/{import_id}/rejected/", { params: path }));

const start = Date.now() + 86_400_000;
const mailing = answer(
  await api.POST("/api/mailing/", {
    params: { header: { "Idempotency-Key": "typescript" } },
    body: {
      text: "Hello",
      clients: { tag: "typescript" },
      start_time: new Date(start).toISOString(),
      end_time: new Date(start + 3_600_000).toISOString(),
    },
  }),
);
const changed = answer(
  await api.PATCH("/api/mailing/{mailing_id}/", {
    params: { path: { mailing_id: mailing.id } },
    body: { text: "Hello again" },
  }),
);

const wrong = await api.POST("/api/clients/", { body: { phone_number: "nobody" } });
const problem: string | undefined = wrong.error?.errors?.[0]?.field;

console.log(
  JSON.stringify({
    operator: one.operator,
    expected: checked.expected.created,
    created: imported.created,
    rejected: rejected.rows.map((row) => `${row.row} ${row.field}`),
    mailing: [mailing.text, changed.text, changed.status],
    problem: [wrong.response.status, problem],
  }),
);
