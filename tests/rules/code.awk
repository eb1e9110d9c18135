# Prints C files as FILE:LINE:TEXT with comments and the contents of string and character literals blanked.
FNR == 1 { in_comment = 0 }
{
    out = ""
    literal = ""
    n = length($0)
    for (i = 1; i <= n; i++) {
        c = substr($0, i, 1)
        pair = substr($0, i, 2)
        if (in_comment) {
            if (pair == "*/") { in_comment = 0; i++; out = out " " }
            out = out " "
        } else if (literal != "") {
            if (c == "\\") { i++; out = out "  " }
            else if (c == literal) { literal = ""; out = out c }
            else out = out " "
        } else if (pair == "/*") { in_comment = 1; i++; out = out "  " }
        else if (pair == "//") break
        else if (c == "\"" && $0 !~ /^[ \t]*#[ \t]*include/) { literal = c; out = out c }
        else if (c == "'") { literal = c; out = out c }
        else out = out c
    }
    sub(/[ \t]+$/, "", out)
    print FILENAME ":" FNR ":" out
}
