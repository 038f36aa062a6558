"""The admin UI: HTML pages for operators, at /admin/. Server-rendered; nothing is built and nothing is fetched.

How to add a page:

- A module per resource here, with `pages = Pages()`, listed in `PAGES` below; templates in `templates/<resource>/`.
- `@pages.get("/admin/things")` over `def list_things(request: PageRequest, query: ThingQuery) -> Page`. A route has no
  slash at its end. `query` (optional) is a Pydantic model, read as the API reads it: one of `web`, or a subclass of
  PageQuery. Parameters of the path come as texts. A GET changes nothing.
- `@pages.post("/admin/things/new", shows=new_thing)` over `def create_thing(request: PageRequest) -> Redirect`. The
  framework has checked session, role (`roles=ADMINS`), Origin and CSRF token. `request.form` has what was entered:
  `form.text(name)`, `form.texts(name)`, `form.flag(name)`; hand it to a model of `web.bodies`
  (`form.into(ClientBody, {...})`) or to a service. A ServiceError raised here shows the page `shows` again, the input
  kept and errors beside the fields; without `shows` it becomes an error page. After success answer
  `Redirect(path, flash=_("Changes saved."))`.
- Fields have the names that errors name (`clients.tag`). In templates: `{% import "macros.html" as ui with context %}`
  and `{{ ui.text_field("tag", _("Tag"), value=client.tag) }}`: it keeps what was entered and shows the error; the
  list of errors calls the field as `texts.field_name` does.
  Every form with method post begins with `{{ ui.csrf() }}`; htmx sends the token by itself.
- `Page("things/list.html", {...})` renders a template that extends `base.html` (block `content`, and
  `{% set title = _("Things") %}`, `{% set section = "things" %}` at its top) or a fragment that extends nothing.
- Paths in templates: `{{ link("/admin/things") }}`, with the stage's prefix; a Redirect's path needs none.
- Never a phone number, text or secret in a URL: a search by phone is a POST that redirects to the client's id.
- Every text is marked: `_("Clients")`, `ngettext("%(n)s client", "%(n)s clients", n, n=n)`, in templates and in code
  (`from .texts import _, ngettext`). No text at module level: it would be translated at import. What other code
  says is a value: a cause goes through the filter `reason`, an error of a field through `wrong` (both in `texts`),
  any other error through `texts.told`. What only a page can say is `Fault.AS_TOLD` with `text=_("…")`.
  `locale/ru.po` has a translation of each; a contract test finds those that are missing or stale.
- Times: `{{ ui.time(moment) }}` (the operator's zone); `{{ count|number }}`, `{{ cost|dollars }}`; in code
  `formats.clock(moment)`, `formats.number(count)`; states: `{{ ui.status(one.status) }}`.
- The Content-Security-Policy allows no inline script and no inline style: classes in `static/admin.css`, behaviour in
  `static/admin.js` by `data-` attributes, bars as `<progress>`, charts as SVG: `charts.columns(name, title, series,
  buckets)` and `charts.bars(title, label, counts)` in code, and in the template `{% import "charts.html" as charts with
  context %}` and `{{ charts.columns(chart) }}` or `{{ charts.bars(chart) }}`.
- Every page says whether anything is sent (`ui.sending_line`). A page with a part that moves has
  `{% set moves = true %}` at its top, and that part brings `{{ ui.sending_line(true) }}` along when it is asked for
  by itself, so that both are of one moment.
- A link that opens the confirmation in front of the page: `<a href=… data-dialog>`, to a page which also stands alone.
"""

from __future__ import annotations

from . import (
    account,
    audit,
    calendar,
    chosen_clients,
    clients,
    history,
    imports,
    mailing_actions,
    mailing_page,
    mailings,
    messages,
    missing,
    overview,
    preferences,
    prices,
    queues,
    replies,
    saved_segments,
    sending_states,
    settings,
    signing_in,
    static_files,
    system,
    text_templates,
    trials,
    users,
)
from .routing import Pages

PAGES: tuple[Pages, ...] = (
    static_files.pages,
    signing_in.pages,
    preferences.pages,
    overview.pages,
    mailings.pages,
    mailing_actions.pages,
    calendar.pages,
    clients.pages,
    chosen_clients.pages,
    imports.pages,
    mailing_page.pages,
    messages.pages,
    history.pages,
    sending_states.pages,
    queues.pages,
    replies.pages,
    settings.pages,
    text_templates.pages,
    saved_segments.pages,
    prices.pages,
    trials.pages,
    users.pages,
    system.pages,
    audit.pages,
    account.pages,
    missing.pages,
)
