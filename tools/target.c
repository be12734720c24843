#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nucleus/base/ui.h"
#include "rows.h"
#include "say.h"
#include "units.h"

enum { CHUNK_BYTES = 65536, MEMBERS_MAX = 256, WAIT_NS = 20000000 };

/* ---- where -----------------------------------------------------------------
 */

static enum exit_code on_site(struct client *c, const char *site,
                              struct motet_dest *dest)
{
    struct site_names names;
    enum exit_code code = site_names_get(c, &names);

    if (code != EXIT_DONE) {
        return code;
    }
    const struct site_name *s = site_names_told(&names, site);
    if (s == NULL) {
        code = EXIT_MISSING;
    } else {
        dest->mode = MOTET_TO_ON_SITE;
        dest->co = ui_of_site(s->id);
    }
    site_names_free(&names);
    return code;
}

enum exit_code target_dest(struct client *c, const char *word,
                           const struct target_wish *wish,
                           struct motet_dest *dest)
{
    *dest = (struct motet_dest){.wait = wish->wait};
    if (motet_ui_parse(word, &dest->target)) {
        return EXIT_DONE;
    }
    if (!ui_name_ok(word)) {
        say_error("\"%.100s\" is no name", word);
        say_hint("use 1 to %d letters, digits and . _ - $ /", MOTET_NAME_MAX);
        return EXIT_USAGE;
    }
    dest->target = ui_of_name(word);
    dest->mode = wish->all ? MOTET_TO_ALL : MOTET_TO_NEAREST;
    if (wish->on != NULL) {
        if (wish->all) {
            return say_fail(EXIT_USAGE, "--all and --on do not go together");
        }
        return on_site(c, wish->on, dest);
    }
    return EXIT_DONE;
}

/* Whether a member is one that the mode of the destination allows. */
static bool fits(const struct motet_dest *dest, const struct motet_member *m)
{
    return dest->mode != MOTET_TO_ON_SITE ||
           ui_site(m->site) == ui_site(dest->co);
}

static bool pick(struct client *c, const struct motet_dest *dest,
                 struct motet_ui *port)
{
    struct motet_member members[MEMBERS_MAX];
    size_t count = 0;
    bool found = false;

    if (motet_group_list(c->motet, dest->target, members, MEMBERS_MAX,
                         &count) != MOTET_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool here = ui_site(members[i].site) == c->site;
        if (fits(dest, &members[i]) && (!found || here)) {
            *port = members[i].port;
            found = true;
            if (here) {
                break;
            }
        }
    }
    return found;
}

enum exit_code target_one(struct client *c, const char *word,
                          uint64_t timeout_ns, struct motet_dest *dest)
{
    uint64_t end = clock_ns() + timeout_ns;
    struct motet_ui port;

    if (!ui_is_group(dest->target)) {
        return EXIT_DONE;
    }
    while (!pick(c, dest, &port)) {
        if (!dest->wait || clock_ns() >= end) {
            return target_failed(c, word, MOTET_E_NO_MEMBER, timeout_ns);
        }
        clock_sleep(WAIT_NS);
    }
    *dest = (struct motet_dest){.target = port};
    return EXIT_DONE;
}

/* ---- how it failed ---------------------------------------------------------
 */

static const char *nearest_group(const struct group_rows *groups,
                                 const char *word)
{
    const char *names[MEMBERS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < groups->count && n < MEMBERS_MAX; i++) {
        if (groups->rows[i].name[0] != '\0') {
            names[n++] = groups->rows[i].name;
        }
    }
    return say_nearest(word, names, n);
}

static enum exit_code nobody(struct client *c, const char *word)
{
    struct group_rows groups = {0};

    say_error("no such name (as %s knows them)", c->at->name);
    if (group_rows_get(c, &groups) == EXIT_DONE) {
        const char *near = nearest_group(&groups, word);
        if (near != NULL) {
            say_hint("did you mean: %s", near);
        }
        group_rows_free(&groups);
    }
    say_hint("create it: motet receive %s   or wait for it: --wait", word);
    return EXIT_MISSING;
}

enum exit_code target_failed(struct client *c, const char *word,
                             enum motet_err err, uint64_t timeout_ns)
{
    char took[UNIT_TEXT_MAX];
    const char *text = motet_err_text(err);

    if (err == MOTET_E_NO_MEMBER) {
        return nobody(c, word);
    }
    if (motet_err_ran(err) == MOTET_RAN_MAYBE) {
        if (err == MOTET_E_MAYBE_TIMEOUT) {
            say_error("no answer in %s; it MAY HAVE RUN",
                      unit_ns(timeout_ns, took));
        } else {
            say_error("%.*s; it MAY HAVE RUN", (int)strcspn(text, ";"), text);
        }
        say_hint("a retry is safe only if \"%s\" is idempotent", word);
        return exit_of(err);
    }
    say_error("%s; it did NOT run, a retry is safe", text);
    if (err == MOTET_E_FULL || err == MOTET_E_AGAIN) {
        say_hint("who is slow? motet port list");
    } else if (err == MOTET_E_TOO_BIG) {
        say_hint("the largest body here is %s",
                 unit_bytes(motet_body_max(c->motet), took));
    } else {
        say_hint("where is it? motet port list; motet status -v");
    }
    return exit_of(err);
}

struct motet_ui target_only(struct client *c, const struct motet_dest *dest)
{
    struct motet_member members[2];
    size_t count = 0;

    if (!ui_is_group(dest->target)) {
        return dest->target;
    }
    enum motet_err err =
        motet_group_list(c->motet, dest->target, members, 2, &count);
    return err == MOTET_OK && count == 1 ? members[0].port
                                         : (struct motet_ui){0, 0};
}

const char *target_site(struct client *c, struct motet_ui port, char *text)
{
    struct site_names names;

    if (site_names_get(c, &names) != EXIT_DONE) {
        return "?";
    }
    const char *name = site_names_text(&names, ui_site(port), text);
    if (name != text) {
        snprintf(text, MOTET_NAME_MAX + 1, "%s", name);
    }
    site_names_free(&names);
    return text;
}

/* ---- bodies ----------------------------------------------------------------
 */

static bool read_all(FILE *f, struct body *body)
{
    size_t room = 0;
    size_t n;

    do {
        if (room - body->size < CHUNK_BYTES) {
            room = body->size + CHUNK_BYTES + room / 2;
            char *more = realloc(body->bytes, room);
            CHECK(more != NULL);
            body->bytes = more;
        }
        n = fread(body->bytes + body->size, 1, room - body->size, f);
        body->size += n;
    } while (n > 0);
    return ferror(f) == 0;
}

static enum exit_code read_file(const char *path, struct body *body)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool ok = f != NULL && read_all(f, body);
    int why = errno;

    if (f != NULL && f != stdin) {
        fclose(f);
    }
    return ok ? EXIT_DONE
              : say_fail(EXIT_USAGE, "cannot read %.300s: %s", path,
                         strerror(why));
}

static int nibble(char c)
{
    const char *digits = "0123456789abcdef";
    const char lower = (char)(c >= 'A' && c <= 'F' ? c + 32 : c);
    const char *at = c == '\0' ? NULL : strchr(digits, lower);

    return at == NULL ? -1 : (int)(at - digits);
}

static enum exit_code read_hex(const char *word, struct body *body)
{
    size_t n = strlen(word);

    body->bytes = malloc(n / 2 + 1);
    CHECK(body->bytes != NULL);
    for (size_t i = 0; i < n; i += 2) {
        int high = nibble(word[i]);
        int low = nibble(word[i + 1]);
        if (high < 0 || low < 0) {
            return say_fail(EXIT_USAGE,
                            "--hex: \"%.100s\" is not pairs of "
                            "hex digits",
                            word);
        }
        body->bytes[body->size++] = (char)(high << 4 | low);
    }
    return EXIT_DONE;
}

enum exit_code body_read(const char *word, bool hex, struct body *body)
{
    enum exit_code code = EXIT_DONE;

    *body = (struct body){0};
    if (word == NULL) {
        word = "";
    }
    if (hex) {
        code = read_hex(word, body);
    } else if (strcmp(word, "-") == 0) {
        code = read_file("-", body);
    } else if (word[0] == '@') {
        code = read_file(word + 1, body);
    } else {
        body->bytes = strdup(word);
        CHECK(body->bytes != NULL);
        body->size = strlen(word);
    }
    if (code != EXIT_DONE) {
        free(body->bytes);
        *body = (struct body){0};
    }
    return code;
}

bool body_print(const void *bytes, size_t size, bool line)
{
    bool ok = size == 0 || fwrite(bytes, 1, size, stdout) == size;

    if (ok && (line || isatty(STDOUT_FILENO))) {
        ok = fputc('\n', stdout) != EOF;
    }
    return ok && fflush(stdout) == 0;
}
