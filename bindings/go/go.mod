module polygraft

go 1.24
