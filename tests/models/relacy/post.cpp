/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "relacy/engine.hpp"

#include "core/hub.c"
#include "core/post.c"
#include "scenarios/post.c"

int main(int argc, char **argv)
{
    return model_main(argc, argv);
}
