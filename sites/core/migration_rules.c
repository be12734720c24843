#include "migration_rules.h"

#include "migration.h"

#define RULE(state, event, to, frame, what) \
    [MIG_##state][MIG_ON_##event] = {       \
        .next = MIG_##to, .answer = MIG_##frame, .text = what},
static const struct mig_rule rules[MIG_STATE_COUNT][MIG_EVENT_COUNT] = {
    MIG_RULES(RULE)};
#undef RULE

#define NAME(name, text) [MIG_##name] = #name,
static const char *const state_names[] = {MIG_STATES(NAME)};
#undef NAME

#define NAME(name, text) [MIG_ON_##name] = #name,
static const char *const event_names[] = {MIG_EVENTS(NAME)};
#undef NAME

const struct mig_rule *mig_rule(enum mig_state state, enum mig_event event)
{
    if ((unsigned)state >= MIG_STATE_COUNT ||
        (unsigned)event >= MIG_EVENT_COUNT) {
        return NULL;
    }
    const struct mig_rule *r = &rules[state][event];
    return r->text == NULL ? NULL : r;
}

const char *mig_state_name(enum mig_state state)
{
    return (unsigned)state < MIG_STATE_COUNT ? state_names[state] : "?";
}

const char *mig_event_name(enum mig_event event)
{
    return (unsigned)event < MIG_EVENT_COUNT ? event_names[event] : "?";
}
