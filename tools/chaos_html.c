#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "chaos.h"
#include "say.h"

/* One page that needs nothing else: what happened, as a picture over time. A
 * row for each site, a row for each kind of outcome, the faults below, and the
 * violations as lines through all of it. */

enum {
    WIDTH = 1000, /* of the time axis, in the units of the picture */
    LEFT = 110,   /* for the names */
    RIGHT = 20,
    ROW = 22,
    CALLS = 90, /* height of the outcomes */
    FAULT_ROW = 14,
    FAULTS_DRAWN = 120,
};

static void put_text(FILE *f, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            (void)fputs("&lt;", f);
            break;
        case '>':
            (void)fputs("&gt;", f);
            break;
        case '&':
            (void)fputs("&amp;", f);
            break;
        case '"':
            (void)fputs("&quot;", f);
            break;
        default:
            (void)fputc(*text, f);
        }
    }
}

static uint64_t length(const struct chaos_verdict *v)
{
    return v->end_ns > v->start_ns ? v->end_ns - v->start_ns : 1;
}

static double x_of(const struct chaos_verdict *v, uint64_t ns)
{
    const double part = (double)ns / (double)length(v);
    return LEFT + WIDTH * (part > 1 ? 1 : part);
}

static void put_head(FILE *f, const struct chaos_verdict *v)
{
    (void)fprintf(
        f,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<title>%s on %s</title>\n<style>\n"
        ":root{color-scheme:light dark;--fg:#1a1a1a;--bg:#fff;--dim:#777;"
        "--line:#ddd;--up:#cfe3d4;--pause:#e0a93b;--fault:#7b8fd4;"
        "--ok:#3f9e5a;--no:#c9a227;--maybe:#b04a9b;--bad:#d02828}\n"
        "@media(prefers-color-scheme:dark){:root{--fg:#e6e6e6;--bg:#16181b;"
        "--dim:#999;--line:#333;--up:#28473a}}\n"
        "body{font:14px/1.5 system-ui,sans-serif;color:var(--fg);"
        "background:var(--bg);max-width:1150px;margin:2em auto;padding:0 1em}"
        "\nsvg{width:100%%;height:auto;font:11px system-ui,sans-serif}"
        "svg text{fill:var(--fg)}.dim{fill:var(--dim);color:var(--dim)}"
        "table{border-collapse:collapse}td,th{text-align:left;"
        "padding:.15em .8em;border-bottom:1px solid var(--line)}"
        "td.n{text-align:right}.bad{color:var(--bad);font-weight:600}"
        ".verdict{font-size:1.4em;font-weight:700}"
        ".pass{color:var(--ok)}\n</style></head><body>\n",
        v->scenario, v->ground);
    (void)fprintf(f, "<h1>%s <span class=\"dim\">on %s</span></h1>\n<p>",
                  v->scenario, v->ground);
    put_text(f, v->about);
    (void)fprintf(f,
                  "</p><p class=\"dim\">seed %" PRIu64 ", %" PRIu32
                  " sites, build %s; everything was healed after %.1f s, the "
                  "sites agreed %.0f ms later</p>\n",
                  v->seed, v->site_count, v->build,
                  v->healed_ns > v->start_ns
                      ? (double)(v->healed_ns - v->start_ns) / 1e9
                      : 0,
                  (double)v->agreed_ns / 1e6);
}

/* ---- the picture -----------------------------------------------------------
 */

static void put_axis(FILE *f, const struct chaos_verdict *v, int height)
{
    const double s = (double)length(v) / 1e9;
    const double step = s > 600   ? 60
                        : s > 120 ? 20
                        : s > 40  ? 5
                        : s > 12  ? 2
                                  : 1;
    for (double t = 0; t <= s; t += step) {
        const double x = x_of(v, (uint64_t)(t * 1e9));
        (void)fprintf(f,
                      "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"14\" y2=\"%d\" "
                      "stroke=\"var(--line)\"/><text class=\"dim\" x=\"%.1f\" "
                      "y=\"10\" text-anchor=\"middle\">%g s</text>\n",
                      x, x, height, x, t);
    }
}

static void put_spans(FILE *f, const struct chaos_verdict *v, int y, bool pause)
{
    for (size_t i = 0; i < v->span_count; i++) {
        const struct chaos_span *s = &v->spans[i];
        if (s->pause != pause) {
            continue;
        }
        const double x = x_of(v, s->begin_ns);
        const double w = x_of(v, s->end_ns) - x;
        (void)fprintf(f,
                      "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                      "height=\"%d\" rx=\"2\" fill=\"var(--%s)\"><title>%s %s "
                      "from %.3f s to %.3f s</title></rect>\n",
                      x, y + (int)s->site * ROW + (s->pause ? 6 : 3),
                      w < 0.5 ? 0.5 : w, s->pause ? ROW - 12 : ROW - 6,
                      s->pause ? "pause" : "up", v->sites[s->site],
                      s->pause ? "stands still" : "runs",
                      (double)s->begin_ns / 1e9, (double)s->end_ns / 1e9);
    }
}

static int put_sites(FILE *f, const struct chaos_verdict *v, int y)
{
    put_spans(f, v, y, false);
    put_spans(f, v, y, true);
    for (size_t i = 0; i < v->move_count; i++) {
        (void)fprintf(f,
                      "<circle cx=\"%.1f\" cy=\"%d\" r=\"3\" "
                      "fill=\"var(--fault)\"><title>a port moves here at %.3f "
                      "s</title></circle>\n",
                      x_of(v, v->moves[i].at_ns),
                      y + (int)v->moves[i].site * ROW + ROW / 2,
                      (double)v->moves[i].at_ns / 1e9);
    }
    for (uint32_t i = 0; i < v->site_count; i++) {
        (void)fprintf(f,
                      "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s"
                      "</text>\n",
                      LEFT - 8, y + (int)i * ROW + 15, v->sites[i]);
    }
    return y + (int)v->site_count * ROW + 8;
}

static uint32_t tallest(const struct chaos_verdict *v)
{
    uint32_t most = 1;
    for (size_t i = 0; i < CHAOS_BUCKETS_MAX; i++) {
        const struct chaos_bucket *b = &v->buckets[i];
        const uint32_t n = b->ok + b->refused + b->unknown;
        most = n > most ? n : most;
    }
    return most;
}

static void put_bar(FILE *f, double x, double w, double *bottom, double height,
                    const char *colour)
{
    if (height > 0) {
        *bottom -= height;
        (void)fprintf(f,
                      "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
                      "height=\"%.2f\" fill=\"var(--%s)\"/>",
                      x, *bottom, w, height, colour);
    }
}

static int put_outcomes(FILE *f, const struct chaos_verdict *v, int y)
{
    const double unit = (double)CALLS / tallest(v);
    const double w = (double)WIDTH * (double)v->bucket_ns / (double)length(v);
    for (size_t i = 0; i < CHAOS_BUCKETS_MAX; i++) {
        const struct chaos_bucket *b = &v->buckets[i];
        const double x = x_of(v, i * v->bucket_ns);
        double bottom = y + CALLS;
        put_bar(f, x, w, &bottom, b->ok * unit, "ok");
        put_bar(f, x, w, &bottom, b->refused * unit, "no");
        put_bar(f, x, w, &bottom, b->unknown * unit, "maybe");
    }
    (void)fprintf(f,
                  "\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\">outcomes"
                  "</text><text class=\"dim\" x=\"%d\" y=\"%d\" "
                  "text-anchor=\"end\">%" PRIu32 " in %.0f ms</text>\n",
                  LEFT - 8, y + 24, LEFT - 8, y + 12, tallest(v),
                  (double)v->bucket_ns / 1e6);
    return y + CALLS + 14;
}

static int put_faults(FILE *f, const struct chaos_verdict *v, int y)
{
    for (size_t i = 0; i < v->shown_count && i < FAULTS_DRAWN; i++) {
        const struct chaos_shown *s = &v->shown[i];
        const double x = x_of(v, s->begin_ns);
        const double w = x_of(v, s->end_ns) - x;
        const bool right = x > LEFT + WIDTH * 0.7;
        (void)fprintf(f,
                      "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
                      "height=\"%d\" fill=\"var(--fault)\"/><text x=\"%.1f\" "
                      "y=\"%d\" text-anchor=\"%s\">",
                      x, y + 2, w < 2 ? 2 : w, FAULT_ROW - 4,
                      right ? x - 4 : x + (w < 2 ? 2 : w) + 4, y + 11,
                      right ? "end" : "start");
        put_text(f, s->text);
        (void)fputs("</text>\n", f);
        y += FAULT_ROW;
    }
    return y;
}

static void put_violations(FILE *f, const struct chaos_verdict *v, int height)
{
    for (uint32_t i = 0; i < v->kept_count; i++) {
        const struct chaos_accusation *a = &v->kept[i];
        const double x =
            x_of(v, a->at_ns > v->start_ns ? a->at_ns - v->start_ns : 0);
        (void)fprintf(f,
                      "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"14\" y2=\"%d\" "
                      "stroke=\"var(--bad)\" stroke-width=\"2\"><title>",
                      x, x, height);
        put_text(f, a->text);
        (void)fputs("</title></line>\n", f);
    }
}

static void put_picture(FILE *f, const struct chaos_verdict *v)
{
    const size_t faults =
        v->shown_count < FAULTS_DRAWN ? v->shown_count : FAULTS_DRAWN;
    const int height = 20 + (int)v->site_count * ROW + 8 + CALLS + 14 +
                       (int)faults * FAULT_ROW + 10;
    (void)fprintf(f,
                  "<svg viewBox=\"0 0 %d %d\" role=\"img\" "
                  "aria-label=\"timeline\">\n",
                  LEFT + WIDTH + RIGHT, height);
    put_axis(f, v, height);
    int y = put_sites(f, v, 20);
    y = put_outcomes(f, v, y);
    (void)put_faults(f, v, y);
    const double x =
        x_of(v, v->healed_ns > v->start_ns ? v->healed_ns - v->start_ns : 0);
    (void)fprintf(f,
                  "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"14\" y2=\"%d\" "
                  "stroke=\"var(--ok)\" stroke-dasharray=\"4 3\"><title>"
                  "everything is healed</title></line>\n",
                  x, x, height);
    put_violations(f, v, height);
    (void)fputs("</svg>\n<p class=\"dim\">"
                "<span style=\"color:var(--ok)\">&#9632;</span> ok "
                "<span style=\"color:var(--no)\">&#9632;</span> certainly did "
                "not run <span style=\"color:var(--maybe)\">&#9632;</span> "
                "unknown <span style=\"color:var(--pause)\">&#9632;</span> "
                "stands still <span style=\"color:var(--fault)\">&#9632;"
                "</span> fault, or a port that moved; dashed: everything is "
                "healed; red: a violation</p>\n",
                f);
    if (v->shown_count > FAULTS_DRAWN) {
        (void)fprintf(f,
                      "<p class=\"dim\">the first %d of %zu faults are "
                      "drawn; report.json has all</p>\n",
                      FAULTS_DRAWN, v->shown_count);
    }
}

/* ---- words -----------------------------------------------------------------
 */

static void put_row(FILE *f, const char *what, const uint64_t n[4])
{
    (void)fprintf(f, "<tr><th>%s</th>", what);
    for (int i = 0; i < 4; i++) {
        (void)fprintf(f, "<td class=\"n\">%" PRIu64 "</td>", n[i]);
    }
    (void)fputs("</tr>\n", f);
}

static void put_counts(FILE *f, const struct chaos_verdict *v)
{
    const struct check_counts *c = &v->counts;
    (void)fputs("<h2>What happened</h2><table><tr><th></th><th>all</th>"
                "<th>ok</th><th>did not run</th><th>unknown</th></tr>\n",
                f);
    put_row(
        f, "calls",
        (uint64_t[]){c->calls, c->replies, c->not_executed, c->maybe_executed});
    put_row(f, "sends",
            (uint64_t[]){c->sends, c->accepted, c->refused, c->unknown});
    (void)fprintf(f,
                  "</table><p>%" PRIu64 " lives of sites, %" PRIu64
                  " ports, %" PRIu64 " watches, %" PRIu64
                  " events judged; %" PRIu64 " pending at the end</p>\n",
                  c->sites, c->ports, c->watches, v->events, v->pending);
}

static void put_verdict(FILE *f, const struct chaos_verdict *v)
{
    (void)fputs("<h2>What was broken</h2>\n", f);
    (void)fputs(v->kept_count == 0 ? "<p>Nothing.</p>\n" : "<ul>\n", f);
    for (uint32_t i = 0; i < v->kept_count; i++) {
        const struct chaos_accusation *a = &v->kept[i];
        (void)fputs("<li><span class=\"bad\">", f);
        if (a->promise > 0 && a->promise != CHECK_INVARIANT) {
            (void)fprintf(f, "P%d ", a->promise);
        }
        (void)fprintf(
            f, "%s</span> at %.3f s: ",
            a->promise == 0 ? "crash" : check_promise_name(a->promise),
            a->at_ns > v->start_ns ? (double)(a->at_ns - v->start_ns) / 1e9
                                   : 0);
        put_text(f, a->text);
        (void)fputs("</li>\n", f);
    }
    (void)fputs(v->kept_count == 0 ? "" : "</ul>\n", f);
    const bool pass = v->code == EXIT_DONE;
    (void)fprintf(f, "<p class=\"verdict %s\">%s</p>\n", pass ? "pass" : "bad",
                  pass                      ? "PASS"
                  : v->code == EXIT_UNSAFE  ? "UNSAFE"
                  : v->code == EXIT_STUCK   ? "STUCK"
                  : v->code == EXIT_CRASHED ? "CRASHED"
                                            : "NO VERDICT");
    put_text(f, v->why);
    (void)fputs("</body></html>\n", f);
}

bool chaos_html(const struct chaos_verdict *v, const char *path)
{
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        say_error("cannot write %.300s: %s", path, strerror(errno));
        return false;
    }
    put_head(f, v);
    put_picture(f, v);
    put_counts(f, v);
    put_verdict(f, v);
    return fclose(f) == 0;
}
