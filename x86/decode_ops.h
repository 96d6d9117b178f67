/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * decode_ops - all operations: X86_OP(id, name). Included with X86_OP defined. Conditional ones have
 * one id; the condition is the low four bits of the opcode.
 */
/* -------- arithmetic, moves, bits, branches -------- */
X86_OP(ADD, "add") X86_OP(OR, "or") X86_OP(ADC, "adc") X86_OP(SBB, "sbb")
X86_OP(AND, "and") X86_OP(SUB, "sub") X86_OP(XOR, "xor") X86_OP(CMP, "cmp")
X86_OP(TEST, "test") X86_OP(INC, "inc") X86_OP(DEC, "dec") X86_OP(NEG, "neg") X86_OP(NOT, "not")
X86_OP(MUL, "mul") X86_OP(IMUL1, "imul") X86_OP(IMUL, "imul") /* IMUL: two and three operands */
X86_OP(DIV, "div") X86_OP(IDIV, "idiv")
X86_OP(ROL, "rol") X86_OP(ROR, "ror") X86_OP(RCL, "rcl") X86_OP(RCR, "rcr")
X86_OP(SHL, "shl") X86_OP(SHR, "shr") X86_OP(SAR, "sar") X86_OP(SHLD, "shld") X86_OP(SHRD, "shrd")
X86_OP(BT, "bt") X86_OP(BTS, "bts") X86_OP(BTR, "btr") X86_OP(BTC, "btc")
X86_OP(BSF, "bsf") X86_OP(BSR, "bsr") X86_OP(BSWAP, "bswap")
X86_OP(XADD, "xadd") X86_OP(CMPXCHG, "cmpxchg") X86_OP(CMPXCHG8B, "cmpxchg8b")
X86_OP(CMPXCHG16B, "cmpxchg16b") X86_OP(XCHG, "xchg")
X86_OP(MOV, "mov") X86_OP(MOVZX, "movzx") X86_OP(MOVSX, "movsx") X86_OP(MOVSXD, "movsxd")
X86_OP(MOVBE, "movbe") X86_OP(MOVNTI, "movnti") X86_OP(LEA, "lea")
X86_OP(PUSH, "push") X86_OP(POP, "pop") X86_OP(PUSHA, "pusha") X86_OP(POPA, "popa")
X86_OP(PUSHF, "pushf") X86_OP(POPF, "popf") X86_OP(ENTER, "enter") X86_OP(LEAVE, "leave")
X86_OP(CBW, "cbw") X86_OP(CWD, "cwd") /* with their wider forms, by opsize */
X86_OP(LAHF, "lahf") X86_OP(SAHF, "sahf") X86_OP(CLC, "clc") X86_OP(STC, "stc") X86_OP(CMC, "cmc")
X86_OP(CLD, "cld") X86_OP(STD, "std") X86_OP(SALC, "salc")
X86_OP(AAA, "aaa") X86_OP(AAS, "aas") X86_OP(AAM, "aam") X86_OP(AAD, "aad") X86_OP(DAA, "daa")
X86_OP(DAS, "das") X86_OP(SETCC, "setcc") X86_OP(CMOVCC, "cmovcc")
X86_OP(JCC, "jcc") X86_OP(JMP, "jmp") X86_OP(CALL, "call") X86_OP(RET, "ret")
X86_OP(LOOP, "loop") X86_OP(LOOPE, "loope") X86_OP(LOOPNE, "loopne") X86_OP(JCXZ, "jcxz")
X86_OP(XLAT, "xlat") X86_OP(BOUND, "bound") X86_OP(NOP, "nop") X86_OP(PAUSE, "pause")
X86_OP(MOVS, "movs") X86_OP(CMPS, "cmps") X86_OP(STOS, "stos") X86_OP(LODS, "lods")
X86_OP(SCAS, "scas") X86_OP(INS, "ins") X86_OP(OUTS, "outs")
X86_OP(LFENCE, "lfence") X86_OP(MFENCE, "mfence") X86_OP(SFENCE, "sfence")
X86_OP(CLFLUSH, "clflush") X86_OP(CLFLUSHOPT, "clflushopt") X86_OP(CLWB, "clwb")
X86_OP(PREFETCH, "prefetch") /* all kinds: touches nothing */
/* -------- segments, far transfers, events -------- */
X86_OP(JMPF, "jmp far") X86_OP(CALLF, "call far") X86_OP(RETF, "retf") X86_OP(INT, "int")
X86_OP(INT3, "int3") X86_OP(INT1, "int1") X86_OP(INTO, "into") X86_OP(IRET, "iret")
X86_OP(MOV_TO_SEG, "mov") X86_OP(MOV_FROM_SEG, "mov") X86_OP(PUSH_SEG, "push") X86_OP(POP_SEG, "pop")
X86_OP(LDS, "lds") X86_OP(LES, "les") X86_OP(LFS, "lfs") X86_OP(LGS, "lgs") X86_OP(LSS, "lss")
X86_OP(LAR, "lar") X86_OP(LSL, "lsl") X86_OP(VERR, "verr") X86_OP(VERW, "verw") X86_OP(ARPL, "arpl")
X86_OP(LLDT, "lldt") X86_OP(LTR, "ltr") X86_OP(SLDT, "sldt") X86_OP(STR, "str")
X86_OP(SYSCALL, "syscall") X86_OP(SYSRET, "sysret") X86_OP(SYSENTER, "sysenter")
X86_OP(SYSEXIT, "sysexit") X86_OP(RSM, "rsm")
/* -------- system -------- */
X86_OP(MOV_FROM_CR, "mov") X86_OP(MOV_TO_CR, "mov") X86_OP(MOV_FROM_DR, "mov")
X86_OP(MOV_TO_DR, "mov") X86_OP(LMSW, "lmsw") X86_OP(SMSW, "smsw") X86_OP(CLTS, "clts")
X86_OP(LGDT, "lgdt") X86_OP(LIDT, "lidt") X86_OP(SGDT, "sgdt") X86_OP(SIDT, "sidt")
X86_OP(INVLPG, "invlpg") X86_OP(INVPCID, "invpcid") X86_OP(INVD, "invd") X86_OP(WBINVD, "wbinvd")
X86_OP(CPUID, "cpuid") X86_OP(RDMSR, "rdmsr") X86_OP(WRMSR, "wrmsr") X86_OP(RDTSC, "rdtsc")
X86_OP(RDTSCP, "rdtscp") X86_OP(RDPMC, "rdpmc") X86_OP(HLT, "hlt") X86_OP(CLI, "cli")
X86_OP(STI, "sti") X86_OP(STAC, "stac") X86_OP(CLAC, "clac") X86_OP(SWAPGS, "swapgs")
X86_OP(RDFSBASE, "rdfsbase") X86_OP(RDGSBASE, "rdgsbase") X86_OP(WRFSBASE, "wrfsbase")
X86_OP(WRGSBASE, "wrgsbase") X86_OP(IN, "in") X86_OP(OUT, "out") X86_OP(XGETBV, "xgetbv")
X86_OP(XSETBV, "xsetbv") X86_OP(MONITOR, "monitor") X86_OP(MWAIT, "mwait")
X86_OP(RDPKRU, "rdpkru") X86_OP(WRPKRU, "wrpkru") X86_OP(RDRAND, "rdrand") X86_OP(RDSEED, "rdseed")
X86_OP(RDPID, "rdpid") X86_OP(VMCALL, "vmcall") X86_OP(VMMCALL, "vmmcall")
X86_OP(UD0, "ud0") X86_OP(UD1, "ud1") X86_OP(UD2, "ud2")
/* -------- general registers, beyond the 386 (X86_CLASS_GPR) -------- */
X86_OP(LZCNT, "lzcnt") X86_OP(TZCNT, "tzcnt") X86_OP(POPCNT, "popcnt") X86_OP(CRC32, "crc32")
X86_OP(ADCX, "adcx") X86_OP(ADOX, "adox") X86_OP(ANDN, "andn") X86_OP(BEXTR, "bextr")
X86_OP(BLSI, "blsi") X86_OP(BLSMSK, "blsmsk") X86_OP(BLSR, "blsr") X86_OP(BZHI, "bzhi")
X86_OP(MULX, "mulx") X86_OP(PDEP, "pdep") X86_OP(PEXT, "pext") X86_OP(RORX, "rorx")
X86_OP(SARX, "sarx") X86_OP(SHLX, "shlx") X86_OP(SHRX, "shrx")
/* -------- floating-point and vector state (X86_CLASS_FPST) -------- */
X86_OP(FXSAVE, "fxsave") X86_OP(FXRSTOR, "fxrstor") X86_OP(XSAVE, "xsave")
X86_OP(XSAVEOPT, "xsaveopt") X86_OP(XSAVEC, "xsavec") X86_OP(XSAVES, "xsaves")
X86_OP(XRSTOR, "xrstor") X86_OP(XRSTORS, "xrstors") X86_OP(LDMXCSR, "ldmxcsr")
X86_OP(STMXCSR, "stmxcsr") /* VLDMXCSR, VSTMXCSR have the same ids */
X86_OP(VZEROUPPER, "vzeroupper") X86_OP(VZEROALL, "vzeroall")
/* -------- x87, MMX, SSE, AVX -------- */
X86_OP(FWAIT, "fwait")
