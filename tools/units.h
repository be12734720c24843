#ifndef TOOLS_UNITS_H
#define TOOLS_UNITS_H

#include "deploy/units/units.h"

#endif
