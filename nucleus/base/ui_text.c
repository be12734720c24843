#include <motet/supervisor.h>
#include <string.h>

#include "nucleus/base/ui.h"

/* The public helpers for UIs: text is three hexadecimal numbers, site, then
 * incarnation, then serial, with dots between and no leading zeroes. */

bool motet_ui_equal(struct motet_ui a, struct motet_ui b)
{
    return ui_equal(a, b);
}

struct motet_ui motet_ui_of_name(const char *name)
{
    return ui_of_name(name);
}

struct motet_ui motet_ui_of_site(uint64_t site)
{
    return ui_of_site(site);
}

uint64_t motet_ui_birth_site(struct motet_ui ui)
{
    return ui_kind(ui) == UI_STATIC_GROUP ? 0 : ui_site(ui);
}

static char *put_hex(char *at, uint64_t v)
{
    static const char digits[] = "0123456789abcdef";
    unsigned shift = 60;

    while (shift > 0 && (v >> shift) == 0) {
        shift -= 4;
    }
    for (;; shift -= 4) {
        *at++ = digits[(v >> shift) & 15];
        if (shift == 0) {
            return at;
        }
    }
}

const char *motet_ui_text(struct motet_ui ui, char text[MOTET_UI_TEXT_MAX])
{
    char *at = put_hex(text, ui.hi);

    *at++ = '.';
    at = put_hex(at, ui.lo >> 32);
    *at++ = '.';
    at = put_hex(at, ui.lo & UINT32_MAX);
    *at = '\0';
    return text;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One number of 1 to `digits_max` digits; moves *at behind it. */
static bool get_hex(const char **at, unsigned digits_max, uint64_t *v)
{
    unsigned digits = 0;

    *v = 0;
    for (; hex_value(**at) >= 0; (*at)++, digits++) {
        if (digits == digits_max) {
            return false;
        }
        *v = *v << 4 | (uint64_t)hex_value(**at);
    }
    return digits > 0;
}

bool motet_ui_parse(const char *text, struct motet_ui *ui)
{
    uint64_t site;
    uint64_t incarnation;
    uint64_t serial;

    if (!get_hex(&text, 16, &site) || *text++ != '.' ||
        !get_hex(&text, 8, &incarnation) || *text++ != '.' ||
        !get_hex(&text, 8, &serial) || *text != '\0') {
        return false;
    }
    *ui = (struct motet_ui){.hi = site, .lo = incarnation << 32 | serial};
    return true;
}
