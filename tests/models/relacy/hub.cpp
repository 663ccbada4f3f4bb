/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relacy/engine.hpp"

#include "core/hub.c"
#include "scenarios/hub.c"

int main(int argc, char **argv)
{
    return model_main(argc, argv);
}
