# SPDX-License-Identifier: BSD-2-Clause
# What programs cost that bench_count has counted, from lines "CONTENDER LOAD MARK TIME CPU": of each figure the least of
# the rounds, for the contenders a and b (a may be empty), and the ratio. The status is 1 if one is missing, or b is worse
# than a by more than limit percent, where limit is given. With json: one object a figure.
function least(key, value) {
    if (!(key in best) || value < best[key])
        best[key] = value
}
$3 == "failed" { print "no result: " $1 " " $2 > "/dev/stderr"; status = 1; next }
{
    least($1 " " $2 " " $3 " wall", $4)
    least($1 " " $2 " " $3 " cpu", $5)
    if ($3 == "loaded") { wall = $4; cpu = $5 }
    if ($3 == "read") {
        least($1 " linux request wall", ($4 - wall) / 1000)
        least($1 " linux request cpu", ($5 - cpu) / 1000)
    }
}
function row(title, key, unit, judged,   x, y, worse) {
    x = best[a " " key]; y = best[b " " key]
    if ((a != "" && x == "") || y == "")
        return
    worse = limit != "" && judged && y > x * (1 + judged * limit / 100)
    status = status || worse
    if (json) {
        printf "%s{\"figure\": \"%s\", \"%s\": %.3f", rows++ ? ",\n" : "[", title, b, y / unit
        printf a == "" ? "}" : ", \"" a "\": %.3f, \"ratio\": %.4f}", x / unit, a == "" ? 0 : y / x
    } else if (a == "") {
        printf "%-46s %12.3f\n", title, y / unit
    } else {
        printf "%-46s %12.3f %12.3f %8.4f%s\n", title, x / unit, y / unit, y / x, worse ? "  WORSE" : ""
    }
}
END {
    if (!json && a != "")
        printf "%-46s %12s %12s %8s\n", "millions of instructions, least of the rounds", a, b, b "/" a
    else if (!json)
        printf "%-46s %12s\n", "millions of instructions, least of the rounds", b
    row("bare guest: exec to its first byte, CPU", "bare first cpu", 1e6, 1)
    row("bare guest: exec to its first byte", "bare first wall", 1e6, 0)
    row("bare guest: whole run, CPU", "bare end cpu", 1e6, 1)
    row("bare guest: whole run", "bare end wall", 1e6, 0)
    row("Linux: exec to init, CPU", "linux init cpu", 1e6, 1)
    row("Linux: exec to init", "linux init wall", 1e6, 1)
    row("Linux: exec to the end, CPU", "linux end cpu", 1e6, 0)
    row("Linux: exec to the end", "linux end wall", 1e6, 1)
    row("Linux, the same words: exec to init, CPU", "same init cpu", 1e6, 1)
    row("Linux, the same words: exec to init", "same init wall", 1e6, 1)
    row("Linux, the same words: exec to the end, CPU", "same end cpu", 1e6, 0)
    row("Linux, the same words: exec to the end", "same end wall", 1e6, 1)
    row("Linux: a read of 4 KiB, CPU", "linux request cpu", 1e6, 1)
    row("Linux: a read of 4 KiB", "linux request wall", 1e6, 1)
    row("KiB that the VMM writes to, beyond guest RAM", "stay kib cpu", 1, 5)
    row("bare guest: KiB that the VMM writes to", "bare-stay kib cpu", 1, 5)
    row("bare guest: KiB that are resident", "bare-stay kib wall", 1, 0)
    if (json)
        print rows ? "]" : "[]"
    exit status
}
