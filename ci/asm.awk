# Finds the fast path of each function `asm_…` in the output of
#     objdump --disassemble --demangle --no-show-raw-insn --disassembler-options=intel
# and holds it against the checks below. For ci/asm.sh; plain POSIX awk.
#
# The *cold calls* are those of `grant` of both, which looks at the other side's index, of `Consumer::refusal`, which
# says why in vain, and of `wake` of both, for a side that has asked for it. The *fast path* is every
# instruction that can be reached from the entry, and from which a return can be reached, without
# passing a cold call.
#
# It prints, separated by tabs:
#     check  FUNCTION  CHECK  ok|bad  WHAT WAS FOUND
#     code   FUNCTION  MARK   INSTRUCTION            MARK is `|` on the fast path

BEGIN {
    FS = OFS = "\t"
    # Their first operand is not written.
    split("cmp test bt push call jmp nop prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw " \
          "ucomisd ucomiss comisd comiss ptest", words, " ")
    for (i in words) reads_only[words[i]] = 1
    # They write these registers without naming them.
    split("mul imul div idiv cqo cdq cpuid rdtsc xgetbv", words, " ")
    for (i in words) writes_rax_rdx[words[i]] = 1
}

/^[0-9a-f]+ <asm_[A-Za-z0-9_]*>:$/ {
    name = $0
    sub(/^[0-9a-f]+ </, "", name)
    sub(/>:$/, "", name)
    count = 0
    next
}

name != "" && /^ *[0-9a-f]+:\t/ {
    text = $2
    sub(/ *#.*/, "", text)
    gsub(/ +/, " ", text)
    sub(/ $/, "", text)
    # What a function is padded with.
    if (text == "" || text ~ /^int3/) next
    count++
    address[count] = $1
    gsub(/[ :]/, "", address[count])
    at[address[count]] = count
    line[count] = text
    read_instruction(count, text)
    next
}

name != "" && /^$/ { judge(); name = "" }
END { if (name != "") judge() }

# Splits an instruction into prefix, mnemonic and operands.
function read_instruction(n, text,    words) {
    prefix[n] = ""
    while (text ~ /^(lock|rep|repz|repnz|repe|repne|bnd|notrack|data16|cs|ds|es|ss|xacquire|xrelease) /) {
        split(text, words, " ")
        prefix[n] = prefix[n] words[1] " "
        sub(/^[^ ]+ +/, "", text)
    }
    split(text, words, " ")
    mnemonic[n] = words[1]
    operands[n] = text
    if (!sub(/^[^ ]+ +/, "", operands[n])) operands[n] = ""
}

# Where an instruction can go: `next_of[n]`, `target[n]`, both zero for none.
function link(n) {
    next_of[n] = n < count ? n + 1 : 0
    target[n] = 0
    leaves[n] = is_call(n)
    conditional[n] = 0
    if (mnemonic[n] ~ /^(ret|ud2|hlt)/) {
        next_of[n] = 0
    } else if (mnemonic[n] ~ /^(j|loop)/) {
        split(operands[n], words, " ")
        if (words[1] in at) target[n] = at[words[1]]
        else leaves[n] = 1
        conditional[n] = mnemonic[n] != "jmp"
        if (!conditional[n]) next_of[n] = 0
    }
    cold[n] = leaves[n] && operands[n] ~ /ring.*(Producer.*(grant|wake)|Consumer.*(grant|refusal|wake))/
}

function is_call(n) { return mnemonic[n] ~ /^call/ }

# Marks in `fast` the instructions of the fast path.
function find_fast_path(    n, changed) {
    for (n = 1; n <= count; n++) { from_entry[n] = n == 1; to_return[n] = 0 }
    do {
        changed = 0
        for (n = 1; n <= count; n++) {
            if (from_entry[n] && !cold[n]) {
                changed += reach(from_entry, next_of[n]) + reach(from_entry, target[n])
            }
            if (!to_return[n] && !cold[n] && (is_end(n) || to_return[next_of[n]] || to_return[target[n]])) {
                to_return[n] = 1
                changed++
            }
        }
    } while (changed)
    for (n = 1; n <= count; n++) fast[n] = from_entry[n] && to_return[n]
}

# A return, or a jump to another function, which returns in our place.
function is_end(n) { return mnemonic[n] ~ /^ret/ || (leaves[n] && !is_call(n)) }

function reach(set, n) {
    if (!n || set[n]) return 0
    set[n] = 1
    return 1
}

function is_division(n) { return mnemonic[n] ~ /^(i?div|v?div[sp][sd]|fi?div)/ }

# `xchg` with memory locks without saying so.
function is_locked(n) { return prefix[n] ~ /lock/ || (mnemonic[n] == "xchg" && operands[n] ~ /\[/) }

# A locked access to the stack, whose value is not used, is how compilers write a full fence.
function is_fence(n) {
    return mnemonic[n] ~ /^[lms]fence$/ || (prefix[n] ~ /lock/ && operands[n] ~ /\[rsp/)
}

function writes_memory(n,    first) {
    first = operands[n]
    sub(/,.*/, "", first)
    return (first ~ /\[/ && !(mnemonic[n] in reads_only)) || mnemonic[n] ~ /^(stos|movs[bwdq]$)/
}

# Notes which registers hold the first and the second argument after instruction n.
function follow_arguments(n,    part, destination) {
    split(operands[n], part, ",")
    destination = part[1]
    if (mnemonic[n] in writes_rax_rdx) { delete argument["rax"]; delete argument["rdx"] }
    if (destination !~ /^r[a-z0-9]+$/) {
        # A write to a part of a register: eax, al, r8d.
        if (destination ~ /^[a-z0-9]+$/ && !(mnemonic[n] in reads_only)) forget_part(destination)
    } else if (!(mnemonic[n] in reads_only)) {
        delete argument[destination]
        if (mnemonic[n] == "mov" && (part[2] in argument)) argument[destination] = argument[part[2]]
    }
}

function forget_part(register,    whole) {
    whole = register
    if (whole ~ /^r[0-9]+[dwb]$/) sub(/[dwb]$/, "", whole)
    else {
        sub(/^e/, "", whole)
        sub(/[lh]$/, "", whole)
        if (length(whole) == 1) whole = whole "x"
        whole = "r" whole
    }
    delete argument[whole]
}

# Says what a store goes to: `stack`, `own` (a field of the endpoint), `result` (where `pop` puts
# the item) or `shared`.
function goes_to(n,    place) {
    place = operands[n]
    sub(/^[^[]*\[/, "", place)
    sub(/\].*/, "", place)
    if (place ~ /^rsp/) return "stack"
    sub(/[+-]0x[0-9a-f]+$/, "", place)
    if ((place in argument) && argument[place] == 1) return "own"
    if ((place in argument) && argument[place] == 2 && name ~ /_pop$/) return "result"
    return "shared"
}

# Counts the conditional jumps of the fast path, and along it the stores to shared memory.
function walk(    n, steps) {
    split("", argument)
    argument["rdi"] = 1
    argument["rsi"] = 2
    branches = stores = 0
    branch_list = store_list = ""
    published = ""
    for (n = 1; n <= count; n++) {
        if (fast[n] && conditional[n]) {
            branches++
            branch_list = append(branch_list, line[n])
        }
    }
    n = 1
    steps = 0
    while (n && fast[n] && steps++ <= count) {
        if (writes_memory(n) && goes_to(n) == "shared") {
            stores++
            store_list = append(store_list, line[n])
            published = prefix[n] mnemonic[n] " " operands[n]
        }
        follow_arguments(n)
        n = fast[next_of[n]] ? next_of[n] : target[n]
    }
}

function append(list, text) { return list == "" || text == "" ? list text : list "; " text }

function plural(n, noun) { return n " " noun (n == 1 ? "" : "s") }

function verdict(check, bad, found) { print "check", name, check, bad ? "bad" : "ok", found }

function judge(    n, calls, cold_calls, traps, divisions, locks, fences, length_of_path, wanted) {
    next_of[0] = target[0] = fast[0] = to_return[0] = 0
    for (n = 1; n <= count; n++) link(n)
    find_fast_path()
    calls = traps = divisions = locks = fences = ""
    length_of_path = cold_calls = 0
    for (n = 1; n <= count; n++) {
        length_of_path += fast[n]
        cold_calls += cold[n]
        # Off the fast path, too: the cold blocks call nothing but the cold functions.
        if (leaves[n] && !cold[n]) calls = append(calls, line[n])
        if (mnemonic[n] == "ud2") traps = append(traps, line[n])
        if (fast[n] && is_division(n)) divisions = append(divisions, line[n])
        if (fast[n] && is_locked(n)) locks = append(locks, line[n])
        if (fast[n] && is_fence(n)) fences = append(fences, line[n])
        print "code", name, fast[n] ? "|" : " ", address[n] "  " line[n]
    }
    walk()
    if (!length_of_path || !cold_calls) {
        found = length_of_path ? "no call of grant" : "no way from the entry to a return"
        verdict("fast path", 1, found)
    } else {
        verdict("fast path", 0, length_of_path " instructions")
    }
    verdict("call", calls != "", calls)
    verdict("division", divisions != "", divisions)
    verdict("lock", locks != "", locks)
    verdict("fence", fences != "", fences)
    # One branch asks whether the ring is full or empty, the other one whether the other side is to be woken. A third
    # one, or a trap, checks something else.
    verdict("bounds", branches != 2 || traps != "", plural(branches, "conditional jump") ": " append(branch_list, traps))
    # `push` stores the item and then its index, `pop` its index only. The index lies behind a
    # pointer, the item at an offset that changes.
    wanted = name ~ /_pop$/ ? 1 : 2
    plain = published ~ /^mov QWORD PTR \[r[a-z0-9]+(\+0x[0-9a-f]+)?\],/
    verdict("store", branches != 2 || stores != wanted || !plain, \
            (branches != 2 ? "along one of several ways, " : "") \
            plural(stores, "store") " to shared memory: " store_list)
    split("", at)
}
