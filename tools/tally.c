#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "load.h"

static struct tally_sender *sender(struct tally *t, struct motet_ui source,
                                   uint64_t run)
{
    for (uint32_t i = 0; i < t->sender_count; i++) {
        struct tally_sender *s = &t->senders[i];
        if (motet_ui_equal(s->source, source) && s->run == run) {
            return s;
        }
    }
    if (t->sender_count == TALLY_SENDERS_MAX) {
        return NULL;
    }
    struct tally_sender *s = &t->senders[t->sender_count++];
    *s = (struct tally_sender){.source = source, .run = run, .fresh = t->late};
    return s;
}

/* Marks a number. @return false if it was marked */
static bool mark(struct tally_sender *s, uint64_t number)
{
    uint8_t bit = (uint8_t)(1u << number % 8);

    if (number / 8 >= s->seen_bytes) {
        uint64_t more = (number / 8 + 1) * 2;
        uint8_t *seen = realloc(s->seen, more);
        CHECK(seen != NULL);
        memset(seen + s->seen_bytes, 0, more - s->seen_bytes);
        s->seen = seen;
        s->seen_bytes = more;
    }
    bool was = (s->seen[number / 8] & bit) != 0;
    s->seen[number / 8] |= bit;
    return !was;
}

void tally_add(struct tally *t, const struct motet_msg *msg)
{
    uint64_t run;
    uint64_t number;

    t->received++;
    if (!load_number(msg->annex, msg->annex_bytes, &run, &number) ||
        number >= TALLY_NUMBER_MAX) {
        return;
    }
    struct tally_sender *s = sender(t, msg->source, run);
    if (s == NULL) {
        return;
    }
    t->numbered++;
    s->next = s->fresh ? number : s->next;
    s->fresh = false;
    if (!mark(s, number)) {
        t->duplicated++;
    } else if (number < s->next) {
        t->reordered++;
        s->gaps--;
    } else {
        s->gaps += number - s->next;
        s->next = number + 1;
    }
}

uint64_t tally_lost(const struct tally *t)
{
    uint64_t lost = 0;

    for (uint32_t i = 0; i < t->sender_count; i++) {
        lost += t->senders[i].gaps;
    }
    return lost;
}

void tally_free(struct tally *t)
{
    for (uint32_t i = 0; i < t->sender_count; i++) {
        free(t->senders[i].seen);
    }
    t->sender_count = 0;
}
