// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/control/keys.h"

#include <linux/input-event-codes.h>
#include <stdint.h>
#include <string.h>

#include "core/base/xmath.h"

/* Of keys that type something: what they type without shift and with it. */
static const struct {
    char plain, shifted;
    uint8_t key;
} typing[] = {
    {'1', '!', KEY_1},          {'2', '@', KEY_2},           {'3', '#', KEY_3},
    {'4', '$', KEY_4},          {'5', '%', KEY_5},           {'6', '^', KEY_6},
    {'7', '&', KEY_7},          {'8', '*', KEY_8},           {'9', '(', KEY_9},
    {'0', ')', KEY_0},          {'-', '_', KEY_MINUS},       {'=', '+', KEY_EQUAL},
    {'q', 'Q', KEY_Q},          {'w', 'W', KEY_W},           {'e', 'E', KEY_E},
    {'r', 'R', KEY_R},          {'t', 'T', KEY_T},           {'y', 'Y', KEY_Y},
    {'u', 'U', KEY_U},          {'i', 'I', KEY_I},           {'o', 'O', KEY_O},
    {'p', 'P', KEY_P},          {'[', '{', KEY_LEFTBRACE},   {']', '}', KEY_RIGHTBRACE},
    {'a', 'A', KEY_A},          {'s', 'S', KEY_S},           {'d', 'D', KEY_D},
    {'f', 'F', KEY_F},          {'g', 'G', KEY_G},           {'h', 'H', KEY_H},
    {'j', 'J', KEY_J},          {'k', 'K', KEY_K},           {'l', 'L', KEY_L},
    {';', ':', KEY_SEMICOLON},  {'\'', '"', KEY_APOSTROPHE}, {'`', '~', KEY_GRAVE},
    {'\\', '|', KEY_BACKSLASH}, {'z', 'Z', KEY_Z},           {'x', 'X', KEY_X},
    {'c', 'C', KEY_C},          {'v', 'V', KEY_V},           {'b', 'B', KEY_B},
    {'n', 'N', KEY_N},          {'m', 'M', KEY_M},           {',', '<', KEY_COMMA},
    {'.', '>', KEY_DOT},        {'/', '?', KEY_SLASH},       {' ', ' ', KEY_SPACE},
    {'\n', '\n', KEY_ENTER},    {'\t', '\t', KEY_TAB},
};

static const struct {
    const char *name;
    uint16_t key;
} names[] = {
    {"shift", KEY_LEFTSHIFT},
    {"shift_r", KEY_RIGHTSHIFT},
    {"ctrl", KEY_LEFTCTRL},
    {"ctrl_r", KEY_RIGHTCTRL},
    {"alt", KEY_LEFTALT},
    {"alt_r", KEY_RIGHTALT},
    {"meta_l", KEY_LEFTMETA},
    {"meta_r", KEY_RIGHTMETA},
    {"menu", KEY_COMPOSE},
    {"esc", KEY_ESC},
    {"ret", KEY_ENTER},
    {"tab", KEY_TAB},
    {"spc", KEY_SPACE},
    {"backspace", KEY_BACKSPACE},
    {"minus", KEY_MINUS},
    {"equal", KEY_EQUAL},
    {"bracket_left", KEY_LEFTBRACE},
    {"bracket_right", KEY_RIGHTBRACE},
    {"semicolon", KEY_SEMICOLON},
    {"apostrophe", KEY_APOSTROPHE},
    {"grave_accent", KEY_GRAVE},
    {"backslash", KEY_BACKSLASH},
    {"comma", KEY_COMMA},
    {"dot", KEY_DOT},
    {"slash", KEY_SLASH},
    {"less", KEY_102ND},
    {"caps_lock", KEY_CAPSLOCK},
    {"num_lock", KEY_NUMLOCK},
    {"scroll_lock", KEY_SCROLLLOCK},
    {"sysrq", KEY_SYSRQ},
    {"print", KEY_SYSRQ},
    {"pause", KEY_PAUSE},
    {"insert", KEY_INSERT},
    {"delete", KEY_DELETE},
    {"home", KEY_HOME},
    {"end", KEY_END},
    {"pgup", KEY_PAGEUP},
    {"pgdn", KEY_PAGEDOWN},
    {"up", KEY_UP},
    {"down", KEY_DOWN},
    {"left", KEY_LEFT},
    {"right", KEY_RIGHT},
    {"power", KEY_POWER},
    {"f11", KEY_F11},
    {"f12", KEY_F12},
    {"kp_0", KEY_KP0},
    {"kp_1", KEY_KP1},
    {"kp_2", KEY_KP2},
    {"kp_3", KEY_KP3},
    {"kp_4", KEY_KP4},
    {"kp_5", KEY_KP5},
    {"kp_6", KEY_KP6},
    {"kp_7", KEY_KP7},
    {"kp_8", KEY_KP8},
    {"kp_9", KEY_KP9},
    {"kp_add", KEY_KPPLUS},
    {"kp_subtract", KEY_KPMINUS},
    {"kp_multiply", KEY_KPASTERISK},
    {"kp_divide", KEY_KPSLASH},
    {"kp_decimal", KEY_KPDOT},
    {"kp_enter", KEY_KPENTER},
};

unsigned key_by_name(const char *name, size_t len)
{
    bool shift;
    if (len == 1 && ((name[0] >= '0' && name[0] <= '9') || (name[0] >= 'a' && name[0] <= 'z')))
        return key_of_char(name[0], &shift);
    if (len == 2 && name[0] == 'f' && name[1] >= '1' && name[1] <= '9')
        return KEY_F1 + (unsigned)(name[1] - '1');
    if (len == 3 && memcmp(name, "f10", 3) == 0)
        return KEY_F10;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0)
            return names[i].key;
    return 0;
}

unsigned key_of_char(char c, bool *shift)
{
    for (unsigned i = 0; i < ARRAY_SIZE(typing); i++)
        if (typing[i].plain == c || typing[i].shifted == c) {
            *shift = typing[i].plain != c;
            return typing[i].key;
        }
    return 0;
}
