#include "client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "options.h"
#include "say.h"
#include "sites/core/member.h"
#include "table.h"

enum {
    REQUEST_BYTES_MAX = 4096,
    PAGES_MAX = 100000, /* of one listing; each page has one item at least */
};

/* ---- attachment ------------------------------------------------------------
 */

enum motet_err client_attach(struct client *c, struct site_files *site)
{
    enum motet_err err = motet_attach(site->socket, &c->motet);

    if (err == MOTET_OK) {
        c->at = site;
        c->site = ui_site(motet_site_ui(c->motet));
    }
    return err;
}

static enum exit_code cannot_attach(const struct site_files *site,
                                    enum motet_err err)
{
    say_error("cannot attach to site %s: %s", site->name, motet_err_text(err));
    if (site->process.stopped) {
        say_hint("it is paused; let it go on: motet site resume %s",
                 site->name);
    } else {
        say_hint("see what it says: motet site logs %s", site->name);
    }
    return err == MOTET_E_PERMISSION || err == MOTET_E_AUTH ? EXIT_DENIED
                                                            : EXIT_NO_CLUSTER;
}

enum exit_code client_open(struct client *c, struct cluster *cluster)
{
    struct site_files *site;
    enum exit_code code = cluster_choose(cluster, false);

    *c = (struct client){.cluster = cluster};
    if (code != EXIT_DONE) {
        return code;
    }
    code = cluster_attach_to(cluster, &site);
    if (code == EXIT_DONE) {
        enum motet_err err = client_attach(c, site);
        code = err == MOTET_OK ? EXIT_DONE : cannot_attach(site, err);
    }
    if (code != EXIT_DONE) {
        cluster_close(cluster);
    }
    return code;
}

void client_close(struct client *c)
{
    motet_detach(c->motet);
    c->motet = NULL;
}

void client_leave(struct client *c)
{
    client_close(c);
    cluster_close(c->cluster);
}

/* ---- calls -----------------------------------------------------------------
 */

static int64_t ms_of(uint64_t ns)
{
    return (int64_t)((ns + 999999) / 1000000);
}

enum motet_err client_call(struct client *c, const struct motet_dest *dest,
                           const void *body, size_t size, uint64_t timeout_ns,
                           struct client_reply *reply)
{
    struct motet_msg msg;
    uint64_t from = clock_ns();
    enum motet_err err = motet_call(c->motet, *dest, motet_body(body, size),
                                    &msg, ms_of(timeout_ns));

    if (err != MOTET_OK) {
        return err;
    }
    *reply = (struct client_reply){
        .size = msg.body_bytes,
        .from = msg.source,
        .took_ns = clock_ns() - from,
        .body = malloc(msg.body_bytes + 1),
    };
    CHECK(reply->body != NULL);
    if (msg.body_bytes > 0) {
        memcpy(reply->body, msg.body, msg.body_bytes);
    }
    reply->body[reply->size] = '\0';
    motet_msg_free(&msg);
    return MOTET_OK;
}

void client_reply_free(struct client_reply *reply)
{
    free(reply->body);
    reply->body = NULL;
}

/* ---- questions to control ports --------------------------------------------
 */

enum motet_err control_request(struct client *c, uint64_t site,
                               const Motet__ControlRequest *q,
                               Motet__ControlReply **reply)
{
    uint8_t bytes[REQUEST_BYTES_MAX];
    const struct motet_dest to = {
        .target = ui_of_control(site == 0 ? c->site : site)};
    struct client_reply r;

    if (motet__control_request__get_packed_size(q) > sizeof bytes) {
        return MOTET_E_TOO_BIG;
    }
    enum motet_err err =
        client_call(c, &to, bytes, motet__control_request__pack(q, bytes),
                    c->timeout_ns != 0 ? c->timeout_ns : CLIENT_TIMEOUT_NS, &r);
    if (err != MOTET_OK) {
        return err;
    }
    *reply = motet__control_reply__unpack(NULL, r.size, (uint8_t *)r.body);
    client_reply_free(&r);
    return *reply == NULL ? MOTET_E_PROTOCOL : MOTET_OK;
}

enum motet_err control_err(const Motet__ControlReply *reply)
{
    return reply->err < MOTET_E_COUNT ? (enum motet_err)reply->err
                                      : MOTET_E_PROTOCOL;
}

static enum motet_err ask(struct client *c, uint64_t site,
                          const Motet__ControlRequest *q,
                          Motet__ControlReply **reply)
{
    enum motet_err err = control_request(c, site, q, reply);

    if (err == MOTET_OK && control_err(*reply) != MOTET_OK) {
        err = control_err(*reply);
        motet__control_reply__free_unpacked(*reply, NULL);
    }
    return err;
}

enum motet_err control_ask(struct client *c, uint64_t site,
                           Motet__ControlRequest__Op op, struct motet_ui after,
                           const char *name, Motet__ControlReply **reply)
{
    char text[MOTET_NAME_MAX + 1];
    Motet__ControlRequest q;

    motet__control_request__init(&q);
    q.op = op;
    q.has_after_hi = 1;
    q.after_hi = after.hi;
    q.has_after_lo = 1;
    q.after_lo = after.lo;
    if (name != NULL) {
        snprintf(text, sizeof text, "%s", name);
        q.name = text;
    }
    return ask(c, site, &q, reply);
}

enum motet_err control_ping(struct client *c, uint64_t site, void *body,
                            size_t size, Motet__ControlReply **reply)
{
    Motet__ControlRequest q;

    motet__control_request__init(&q);
    q.op = MOTET__CONTROL_REQUEST__OP__PING;
    q.has_body = 1;
    q.body = (ProtobufCBinaryData){.len = size, .data = body};
    return ask(c, site, &q, reply);
}

/* The last item of a page, from where the next one goes on. */
static bool last_of(const Motet__ControlReply *r, struct motet_ui *after)
{
    if (r->n_members > 0) {
        after->hi = r->members[r->n_members - 1]->site;
    } else if (r->n_links > 0) {
        after->hi = r->links[r->n_links - 1]->site;
    } else if (r->n_ports > 0) {
        after->hi = r->ports[r->n_ports - 1]->hi;
        after->lo = r->ports[r->n_ports - 1]->lo;
    } else if (r->n_groups > 0) {
        after->hi = r->groups[r->n_groups - 1]->hi;
        after->lo = r->groups[r->n_groups - 1]->lo;
    } else if (r->n_actors > 0) {
        after->hi = r->actors[r->n_actors - 1]->hi;
        after->lo = r->actors[r->n_actors - 1]->lo;
    } else {
        return false;
    }
    return true;
}

enum motet_err
control_pages(struct client *c, uint64_t site, Motet__ControlRequest__Op op,
              void (*each)(const Motet__ControlReply *reply, void *user),
              void *user)
{
    struct motet_ui after = {0, 0};

    for (int page = 0; page < PAGES_MAX; page++) {
        Motet__ControlReply *reply;
        enum motet_err err = control_ask(c, site, op, after, NULL, &reply);
        if (err != MOTET_OK) {
            return err;
        }
        each(reply, user);
        bool more = reply->more && last_of(reply, &after);
        motet__control_reply__free_unpacked(reply, NULL);
        if (!more) {
            break;
        }
    }
    return MOTET_OK;
}

enum exit_code control_failed(struct client *c, const char *site,
                              enum motet_err err)
{
    (void)c;
    say_error("site %s does not answer: %s", site, motet_err_text(err));
    say_hint("see: motet status -v");
    return err == MOTET_E_PERMISSION ? EXIT_DENIED : EXIT_NO_CLUSTER;
}

/* ---- names -----------------------------------------------------------------
 */

const char *site_state_text(uint32_t state)
{
    switch (state) {
    case MEMBER_ALIVE:
        return "alive";
    case MEMBER_SUSPECT:
        return "suspect";
    case MEMBER_DEAD:
        return "dead";
    case MEMBER_LEFT:
        return "left";
    default:
        return "unknown";
    }
}

struct naming {
    struct site_names *names;
    uint64_t self;
};

static void on_members(const Motet__ControlReply *reply, void *user)
{
    const struct naming *n = user;
    struct site_names *names = n->names;
    struct site_name *more = realloc(
        names->sites, (names->count + reply->n_members + 1) * sizeof *more);

    CHECK(more != NULL);
    names->sites = more;
    for (size_t i = 0; i < reply->n_members; i++) {
        const Motet__ControlMember *m = reply->members[i];
        struct site_name *s = &names->sites[names->count++];
        *s = (struct site_name){
            .id = m->site,
            .incarnation = m->incarnation,
            .state = m->state,
            .rtt_ns = m->rtt_ns > 0 ? m->rtt_ns : CELL_NONE,
            .since_ms = m->since_ms,
            .session = m->session,
            .is_self = m->site == n->self,
        };
        snprintf(s->name, sizeof s->name, "%s", m->name == NULL ? "" : m->name);
        snprintf(s->address, sizeof s->address, "%s",
                 m->address == NULL ? "" : m->address);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct site_name *x = a;
    const struct site_name *y = b;

    return strverscmp(x->name, y->name);
}

enum exit_code site_names_get(struct client *c, struct site_names *names)
{
    struct naming n = {.names = names, .self = c->site};

    *names = (struct site_names){0};
    enum motet_err err = control_pages(
        c, 0, MOTET__CONTROL_REQUEST__OP__MEMBERS, on_members, &n);
    if (err != MOTET_OK) {
        site_names_free(names);
        return control_failed(c, c->at->name, err);
    }
    if (names->count > 0) {
        qsort(names->sites, names->count, sizeof *names->sites, by_name);
    }
    return EXIT_DONE;
}

void site_names_free(struct site_names *names)
{
    free(names->sites);
    *names = (struct site_names){0};
}

const struct site_name *site_names_by_id(const struct site_names *names,
                                         uint64_t id)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->sites[i].id == id) {
            return &names->sites[i];
        }
    }
    return NULL;
}

const struct site_name *site_names_by_name(const struct site_names *names,
                                           const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->sites[i].name, name) == 0) {
            return &names->sites[i];
        }
    }
    return NULL;
}

const struct site_name *site_names_told(const struct site_names *names,
                                        const char *name)
{
    const char *words[CLUSTER_SITES_MAX];
    const struct site_name *site = site_names_by_name(names, name);
    size_t n = 0;

    if (site != NULL) {
        return site;
    }
    for (size_t i = 0; i < names->count && n < CLUSTER_SITES_MAX; i++) {
        words[n++] = names->sites[i].name;
    }
    say_error("no site named %.100s in cluster %s", name,
              options.cluster_chosen);
    const char *near = say_nearest(name, words, n);
    if (near != NULL) {
        say_hint("did you mean: %s", near);
    }
    say_hint("list them: motet site list");
    return NULL;
}

const char *site_names_text(const struct site_names *names, uint64_t id,
                            char *text)
{
    const struct site_name *site = site_names_by_id(names, id);

    if (site != NULL) {
        return site->name;
    }
    snprintf(text, 32, "%016" PRIx64, id);
    return text;
}
