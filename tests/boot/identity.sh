# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# A group of tests/boot/run-all: what a machine says of itself to stock kernels, by options and by default.
# Command lines are guests' shell lines: they are not for the host's shell to expand.
# shellcheck disable=SC2016,SC2154

# What cloud-init and systemd read: without root, and as root.
named='for i in bios_vendor sys_vendor product_name product_version product_serial product_uuid product_sku product_family
do echo "$i=$(cat /sys/class/dmi/id/$i 2>/dev/null)"; done
dmesg | grep -iE "dmi.*(fail|error|not present)|Firmware Bug" | sed "s/^/complaint: /"'

# The generation id has a driver in 6.12; busybox reads it in the first MiB, where root may.
generation='ls -d /sys/bus/*/drivers/vmgenid/MNVT0001* | sed "s/^/driven: /"
echo generation=$(dd if=/dev/mem bs=4096 skip=241 count=1 2>/dev/null | head -c 16 | hexdump -e "16/1 \"%02x\"")'

generation_id() {
    tr -d '\r' <"$log" | sed -n 's/^generation=//p'
}

# One guest of each kernel has all of the options, and one has none.
group_identity() {
    # Linux reads what is before a page again for each page, and a byte at a time.
    head -c 10000 /dev/urandom >"$work/passed"
    for series in 6.1 6.12; do
        guest "$series" vmlinuz 'echo date=$(date -u +%Y-%m-%dT%H); echo rtc=$(cat /sys/class/rtc/rtc0/date)
            cd /sys/firmware/qemu_fw_cfg/by_name/opt/org.example; echo text=$(cat text/raw)
            sha256sum <file/raw | sed "s/^/file=/"; '"$named; $generation" \
            --rtc base=2040-02-29T12:00:00 -uuid 00112233-4455-6677-8899-aabbccddeeff --smbios \
            'manufacturer=ACME,product=Rocket,version=7,serial=ds=nocloud;s=http://10.0.2.2:8000/,sku=K1,family=Fast' \
            --fw-cfg 'opt/org.example/text,string=a word,, or two' --fw-cfg "opt/org.example/file,file=$work/passed"
        expect "$series: ends" ended 0
        expect "$series: --rtc: the clock shows it" said '^rtc=2040-02-29'
        expect "$series: --rtc: Linux has the time from there" said '^date=2040-02-29T12'
        expect "$series: --smbios: product name" said '^product_name=Rocket$'
        expect "$series: --smbios: manufacturer" said '^sys_vendor=ACME$'
        expect "$series: --smbios: version" said '^product_version=7$'
        expect "$series: --smbios: serial number" said '^product_serial=ds=nocloud;s=http://10\.0\.2\.2:8000/$'
        expect "$series: --smbios: UUID" said '^product_uuid=00112233-4455-6677-8899-aabbccddeeff$'
        expect "$series: --smbios: sku" said '^product_sku=K1$'
        expect "$series: --smbios: family" said '^product_family=Fast$'
        expect "$series: --smbios: the kernel finds no fault" not_said '^complaint: '
        expect "$series: --fw-cfg: a text" said '^text=a word, or two$'
        expect "$series: --fw-cfg: a file" said "^file=$(sha256sum <"$work/passed" | cut -d' ' -f1)"
    done
    first_id=$(generation_id)
    expect "the generation id has a driver" said '^driven: .*MNVT0001'
    guest 6.12 vmlinuz "$named; $generation"
    expect "a machine has a product name" said '^product_name=Minivet$'
    expect "a machine has no serial number" said '^product_serial=$'
    expect "a machine has no UUID" said '^product_uuid=$'
    echo "# generation ids: $first_id $(generation_id)"
    expect "the generation id has 16 bytes" [ ${#first_id} -eq 32 ]
    expect "the generation id is another one at each start" [ "$(generation_id)" != "$first_id" ]
}
