#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet link list, motet link stats: the sessions of sites, with the names of
 * counters that a user of TIPC knows. */

struct link_row {
    char from[MOTET_NAME_MAX + 1];
    char to[MOTET_NAME_MAX + 1];
    char address[ADDRESS_MAX];
    const char *state;
    uint64_t site;
    uint64_t incarnation;
    uint64_t up_ms;
    uint64_t rtt_ns;
    uint64_t tx_packets, rx_packets;
    uint64_t tx_bytes, rx_bytes;
    uint64_t tx_fragments, rx_fragments;
    uint64_t retrans, dups, naks, breaks;
    uint64_t flows_out, flows_in;
    uint64_t backlog_bytes;
    const char *path; /* that small messages take */
    uint64_t path_rtt_ns, path_mtu, path_window, path_flight, path_queue;
    uint64_t path_tx_packets, path_rx_packets, path_tx_bytes, path_rx_bytes;
    uint64_t path_tx_frames, path_rx_frames;
    uint64_t path_retrans, path_lost, path_dups, path_defs, path_forged;
    uint64_t path_congested, path_key, path_ups, path_downs;
    bool path_up;
};

struct link_rows {
    struct link_row *rows;
    size_t count;
    const char *from; /* of those being added */
};

#define LINK(head, key, kind, show, field) \
    COLUMN(struct link_row, head, key, kind, show, field)
static const struct column columns[] = {
    LINK("FROM", "from", CELL_CHARS, SHOW_ALWAYS, from),
    LINK("TO", "to", CELL_CHARS, SHOW_ALWAYS, to),
    LINK("STATE", "state", CELL_TEXT, SHOW_ALWAYS, state),
    LINK("PATH", "path", CELL_TEXT, SHOW_ALWAYS, path),
    LINK("FOR", "up_ms", CELL_MS, SHOW_ALWAYS, up_ms),
    LINK("RTT", "rtt_ns", CELL_NS, SHOW_ALWAYS, rtt_ns),
    LINK("TX", "tx_packets", CELL_NUMBER, SHOW_ALWAYS, tx_packets),
    LINK("RX", "rx_packets", CELL_NUMBER, SHOW_ALWAYS, rx_packets),
    LINK("TX BYTES", "tx_bytes", CELL_BYTES, SHOW_ALWAYS, tx_bytes),
    LINK("RX BYTES", "rx_bytes", CELL_BYTES, SHOW_ALWAYS, rx_bytes),
    LINK("TX FRAGMENTS", "tx_fragments", CELL_NUMBER, SHOW_WIDE, tx_fragments),
    LINK("RX FRAGMENTS", "rx_fragments", CELL_NUMBER, SHOW_WIDE, rx_fragments),
    LINK("RETRANS", "retrans", CELL_NUMBER, SHOW_ALWAYS, retrans),
    LINK("DUPS", "dups", CELL_NUMBER, SHOW_WIDE, dups),
    LINK("NAKS", "naks", CELL_NUMBER, SHOW_WIDE, naks),
    LINK("BREAKS", "breaks", CELL_NUMBER, SHOW_ALWAYS, breaks),
    LINK("FLOWS OUT", "flows_out", CELL_NUMBER, SHOW_WIDE, flows_out),
    LINK("FLOWS IN", "flows_in", CELL_NUMBER, SHOW_WIDE, flows_in),
    LINK("BACKLOG", "backlog_bytes", CELL_BYTES, SHOW_WIDE, backlog_bytes),
    LINK("PATH RTT", "path_rtt_ns", CELL_NS, SHOW_WIDE, path_rtt_ns),
    LINK("MTU", "path_mtu", CELL_NUMBER, SHOW_WIDE, path_mtu),
    LINK("WINDOW", "path_window_bytes", CELL_BYTES, SHOW_WIDE, path_window),
    LINK("FLIGHT", "path_flight_bytes", CELL_BYTES, SHOW_WIDE, path_flight),
    LINK("QUEUE", "path_queue_bytes", CELL_BYTES, SHOW_WIDE, path_queue),
    LINK("PATH TX", "path_tx_packets", CELL_NUMBER, SHOW_WIDE, path_tx_packets),
    LINK("PATH RX", "path_rx_packets", CELL_NUMBER, SHOW_WIDE, path_rx_packets),
    LINK("PATH TX BYTES", "path_tx_bytes", CELL_BYTES, SHOW_WIDE,
         path_tx_bytes),
    LINK("PATH RX BYTES", "path_rx_bytes", CELL_BYTES, SHOW_WIDE,
         path_rx_bytes),
    LINK("TX FRAMES", "path_tx_frames", CELL_NUMBER, SHOW_WIDE, path_tx_frames),
    LINK("RX FRAMES", "path_rx_frames", CELL_NUMBER, SHOW_WIDE, path_rx_frames),
    LINK("PATH RETRANS", "path_retrans", CELL_NUMBER, SHOW_WIDE, path_retrans),
    LINK("LOST", "path_lost", CELL_NUMBER, SHOW_WIDE, path_lost),
    LINK("PATH DUPS", "path_dups", CELL_NUMBER, SHOW_WIDE, path_dups),
    LINK("DEFS", "path_defs", CELL_NUMBER, SHOW_WIDE, path_defs),
    LINK("FORGED", "path_forged", CELL_NUMBER, SHOW_WIDE, path_forged),
    LINK("CONGESTED", "path_congested", CELL_NUMBER, SHOW_WIDE, path_congested),
    LINK("KEY", "path_key", CELL_NUMBER, SHOW_WIDE, path_key),
    LINK("PATH UPS", "path_ups", CELL_NUMBER, SHOW_WIDE, path_ups),
    LINK("PATH DOWNS", "path_downs", CELL_NUMBER, SHOW_WIDE, path_downs),
    LINK("ADDRESS", "address", CELL_CHARS, SHOW_WIDE, address),
    LINK("INCARNATION", "incarnation", CELL_NUMBER, SHOW_WIDE, incarnation),
    LINK("SITE ID", "site_id", CELL_ID, SHOW_WIDE, site),
};
#undef LINK

/* Without a path its columns are empty, not zero. */
static void add_path(const Motet__ControlLink *l, struct link_row *row)
{
    const bool up = l->path_up;

    row->path_up = up;
    row->path = l->path_used ? "udp" : "tcp";
    row->path_rtt_ns = up && l->path_rtt_ns > 0 ? l->path_rtt_ns : CELL_NONE;
    row->path_mtu = up ? l->path_mtu : CELL_NONE;
    row->path_window = up ? l->path_window_bytes : CELL_NONE;
    row->path_flight = up ? l->path_flight_bytes : CELL_NONE;
    row->path_queue = up ? l->path_queue_bytes : CELL_NONE;
    row->path_tx_packets = up ? l->path_tx_packets : CELL_NONE;
    row->path_rx_packets = up ? l->path_rx_packets : CELL_NONE;
    row->path_tx_bytes = up ? l->path_tx_bytes : CELL_NONE;
    row->path_rx_bytes = up ? l->path_rx_bytes : CELL_NONE;
    row->path_tx_frames = up ? l->path_tx_frames : CELL_NONE;
    row->path_rx_frames = up ? l->path_rx_frames : CELL_NONE;
    row->path_retrans = up ? l->path_retrans : CELL_NONE;
    row->path_lost = up ? l->path_lost : CELL_NONE;
    row->path_dups = up ? l->path_dups : CELL_NONE;
    row->path_defs = up ? l->path_defs : CELL_NONE;
    row->path_forged = up ? l->path_forged : CELL_NONE;
    row->path_congested = up ? l->path_congested : CELL_NONE;
    row->path_key = up ? l->path_key : CELL_NONE;
    row->path_ups = l->path_ups;
    row->path_downs = l->path_downs;
}

static void add_link(const Motet__ControlLink *l, const char *from,
                     struct link_row *row)
{
    *row = (struct link_row){
        .state = l->up ? "up" : "down",
        .site = l->site,
        .incarnation = l->incarnation,
        .up_ms = l->up ? l->up_ms : CELL_NONE,
        .rtt_ns = l->rtt_ns > 0 ? l->rtt_ns : CELL_NONE,
        .tx_packets = l->tx_packets,
        .rx_packets = l->rx_packets,
        .tx_bytes = l->tx_bytes,
        .rx_bytes = l->rx_bytes,
        .tx_fragments = l->tx_fragments,
        .rx_fragments = l->rx_fragments,
        .retrans = l->retrans,
        .dups = l->dups,
        .naks = l->naks,
        .breaks = l->breaks,
        .flows_out = l->flows_out,
        .flows_in = l->flows_in,
        .backlog_bytes = l->backlog_bytes,
    };
    add_path(l, row);
    snprintf(row->from, sizeof row->from, "%s", from);
    snprintf(row->to, sizeof row->to, "%s", l->name == NULL ? "" : l->name);
    snprintf(row->address, sizeof row->address, "%s",
             l->address == NULL ? "" : l->address);
}

static void on_links(const Motet__ControlReply *reply, void *user)
{
    struct link_rows *rows = user;
    struct link_row *more =
        realloc(rows->rows, (rows->count + reply->n_links + 1) * sizeof *more);

    CHECK(more != NULL);
    rows->rows = more;
    for (size_t i = 0; i < reply->n_links; i++) {
        add_link(reply->links[i], rows->from, &rows->rows[rows->count++]);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct link_row *x = a;
    const struct link_row *y = b;
    int order = strverscmp(x->from, y->from);

    return order != 0 ? order : strverscmp(x->to, y->to);
}

/* The links of one site, or (NULL) of all that live. */
static enum exit_code get(struct client *c, const struct site_names *names,
                          const char *from, struct link_rows *rows)
{
    *rows = (struct link_rows){0};
    for (size_t i = 0; i < names->count; i++) {
        const struct site_name *s = &names->sites[i];
        if (from == NULL ? strcmp(site_state_text(s->state), "alive") != 0
                         : strcmp(s->name, from) != 0) {
            continue;
        }
        rows->from = s->name;
        enum motet_err err = control_pages(
            c, s->id, MOTET__CONTROL_REQUEST__OP__LINKS, on_links, rows);
        if (err != MOTET_OK && from != NULL) {
            return control_failed(c, s->name, err);
        }
        if (err != MOTET_OK) {
            say("  %s did not answer: its links are not in the list", s->name);
        }
    }
    if (rows->count > 0) {
        qsort(rows->rows, rows->count, sizeof *rows->rows, by_name);
    }
    return EXIT_DONE;
}

static struct table table_of(const struct link_rows *rows)
{
    return (struct table){
        .schema = "motet.link.list/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows->rows,
        .row_bytes = sizeof *rows->rows,
        .row_count = rows->count,
        .none = "no links: the only site has nobody to talk to",
    };
}

static enum exit_code print_list(const struct link_rows *rows)
{
    struct table t = table_of(rows);

    return table_print(&t) ? EXIT_DONE : EXIT_FAILED;
}

static void print_stats(const struct link_row *l)
{
    char a[UNIT_TEXT_MAX];
    char b[UNIT_TEXT_MAX];

    printf("%s -> %s   %s %s   %s   rtt %s\n", l->from, l->to, l->state,
           l->up_ms == CELL_NONE ? "" : unit_age_ms(l->up_ms, a), l->address,
           l->rtt_ns == CELL_NONE ? "-" : unit_ns(l->rtt_ns, b));
    printf("  tx  packets %" PRIu64 "  bytes %" PRIu64 "  fragments %" PRIu64
           "  retrans %" PRIu64 "\n",
           l->tx_packets, l->tx_bytes, l->tx_fragments, l->retrans);
    printf("  rx  packets %" PRIu64 "  bytes %" PRIu64 "  fragments %" PRIu64
           "  dups %" PRIu64 "  naks %" PRIu64 "\n",
           l->rx_packets, l->rx_bytes, l->rx_fragments, l->dups, l->naks);
    printf("  flows  out %" PRIu64 "  in %" PRIu64 "   backlog %s   breaks "
           "%" PRIu64 "\n",
           l->flows_out, l->flows_in, unit_bytes(l->backlog_bytes, a),
           l->breaks);
}

static void print_path(const struct link_row *l)
{
    char a[UNIT_TEXT_MAX];
    char b[UNIT_TEXT_MAX];
    char c[UNIT_TEXT_MAX];

    if (!l->path_up) {
        if (l->path_ups > 0) {
            printf("  udp  down; it was up %" PRIu64 " times\n", l->path_ups);
        }
        return;
    }
    printf("  udp  %s   rtt %s   mtu %" PRIu64 "   window %s   in flight %s"
           "   key %" PRIu64 "   breaks %" PRIu64 "\n",
           strcmp(l->path, "udp") == 0 ? "in use" : "idle",
           l->path_rtt_ns == CELL_NONE ? "-" : unit_ns(l->path_rtt_ns, a),
           l->path_mtu, unit_bytes(l->path_window, b),
           unit_bytes(l->path_flight, c), l->path_key, l->path_downs);
    printf("    tx  packets %" PRIu64 "  bytes %" PRIu64 "  bundles %" PRIu64
           "/%" PRIu64 "  retrans %" PRIu64 "  lost %" PRIu64
           "  congestion %" PRIu64 "\n",
           l->path_tx_packets, l->path_tx_bytes, l->path_tx_packets,
           l->path_tx_frames, l->path_retrans, l->path_lost, l->path_congested);
    printf("    rx  packets %" PRIu64 "  bytes %" PRIu64 "  bundles %" PRIu64
           "/%" PRIu64 "  dups %" PRIu64 "  defs %" PRIu64 "  forged %" PRIu64
           "\n",
           l->path_rx_packets, l->path_rx_bytes, l->path_rx_packets,
           l->path_rx_frames, l->path_dups, l->path_defs, l->path_forged);
}

static enum exit_code print_all_stats(struct link_rows *rows, const char *to)
{
    size_t kept = 0;

    for (size_t i = 0; i < rows->count; i++) {
        if (to == NULL || strcmp(rows->rows[i].to, to) == 0) {
            rows->rows[kept++] = rows->rows[i];
        }
    }
    rows->count = kept;
    if (to != NULL && kept == 0) {
        say_error("it has no link to %.100s", to);
        say_hint("list them: motet link list");
        return EXIT_MISSING;
    }
    if (options.output != OUTPUT_TABLE) {
        return print_list(rows);
    }
    for (size_t i = 0; i < kept; i++) {
        print_stats(&rows->rows[i]);
        print_path(&rows->rows[i]);
    }
    return EXIT_DONE;
}

static enum exit_code run(const char *from, const char *to, bool stats)
{
    struct cluster cluster;
    struct client c;
    struct site_names names;
    struct link_rows rows = {0};

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_names_get(&c, &names);
    if (code == EXIT_DONE) {
        if (from != NULL && site_names_told(&names, from) == NULL) {
            code = EXIT_MISSING;
        } else {
            code = get(&c, &names, from, &rows);
        }
        if (code == EXIT_DONE) {
            code = stats ? print_all_stats(&rows, to) : print_list(&rows);
        }
        free(rows.rows);
        site_names_free(&names);
    }
    client_leave(&c);
    return code;
}

static enum exit_code list_run(char **args, unsigned count)
{
    return run(count > 0 ? args[0] : NULL, NULL, false);
}

static enum exit_code stats_run(char **args, unsigned count)
{
    return run(count > 0 ? args[0] : NULL, count > 1 ? args[1] : NULL, true);
}

const struct verb verb_link_list = {
    .name = "link list",
    .args = "[SITE]",
    .args_max = 1,
    .run = list_run,
    .summary = "the sessions between sites",
    .examples = "  motet link list\n  motet link list site2 -o wide\n",
    .exits = "0 2 3 5 7 77 124",
};

const struct verb verb_link_stats = {
    .name = "link stats",
    .args = "[SITE [SITE]]",
    .args_max = 2,
    .run = stats_run,
    .summary = "their counters, named as TIPC names them",
    .examples = "  motet link stats site1 site3\n",
    .exits = "0 2 3 5 7 77 124",
};
