// SPDX-License-Identifier: GPL-2.0-or-later
/* native_test_insns - what native_test.c compares with the host, by the assembler. AT&T's order. */
/* clang-format off */
LIST(list_gpr,
	I("lzcnt %ecx, %eax") I("lzcnt %r9, %r15") I("lzcnt %cx, %dx") I("lzcnt 8(%rsi), %r10d")
	I("tzcnt %ecx, %eax") I("tzcnt %r9, %r15") I("tzcnt %cx, %dx") I("tzcntq (%rsi), %rax")
	I("popcnt %ecx, %eax") I("popcnt %r9, %r15") I("popcnt %cx, %dx") I("popcntw (%rsi), %ax")
	I("crc32b %cl, %eax") I("crc32b %ah, %edx") I("crc32b %r9b, %rax") I("crc32w %cx, %eax")
	I("crc32l %ecx, %eax") I("crc32q %rcx, %rax") I("crc32q (%rsi), %r8") I("crc32b 3(%rsi), %r8d")
	I("adcx %eax, %ecx") I("adcx %r8, %rcx") I("adcx (%rsi), %rdx") I("adox %eax, %ecx")
	I("adox %r8, %rcx") I("adoxl 4(%rsi), %edx")
	I("andn %eax, %ecx, %edx") I("andn %r8, %r9, %r10") I("andn (%rsi), %rcx, %rdx")
	I("bextr %eax, %ecx, %edx") I("bextr %rbx, %r9, %r10") I("bextr %rbx, (%rsi), %rdx")
	I("blsi %eax, %ecx") I("blsi (%rsi), %r11") I("blsmsk %r8, %rcx") I("blsr %r8d, %ecx")
	I("bzhi %ebx, %ecx, %edx") I("bzhi %rbx, (%rsi), %r12") I("mulx %rax, %rcx, %rbx")
	I("mulx %rax, %rcx, %rcx") I("mulx (%rsi), %r8, %r9") I("mulx %eax, %ecx, %ebx")
	I("mulx %edx, %edx, %edx") I("pdep %rax, %rcx, %rdx") I("pdep (%rsi), %ecx, %edx")
	I("pext %rax, %rcx, %rdx") I("rorx $13, %rax, %rcx") I("rorx $7, (%rsi), %ecx")
	I("sarx %rbx, %rcx, %rdx") I("sarx %ebx, (%rsi), %edx") I("shlx %rbx, %rcx, %rdx")
	I("shrx %rbx, %r14, %rdx") I("andn %rsp, %rsp, %rax") I("lzcnt %rbp, %rbp"));

LIST(list_sse,
	I("movups (%rsi), %xmm1") I("movups %xmm9, (%rsi)") I("movaps %xmm1, %xmm15") I("movaps %xmm1, 16(%rsi)")
	I("movss %xmm1, %xmm2") I("movss (%rsi), %xmm2") I("movss %xmm2, 4(%rsi)") I("movsd (%rsi), %xmm12")
	I("movsd %xmm1, %xmm12") I("movlps (%rsi), %xmm1") I("movhps %xmm1, (%rsi)") I("movhlps %xmm1, %xmm2")
	I("movlhps %xmm1, %xmm2") I("movlpd 8(%rsi), %xmm2") I("movhpd 8(%rsi), %xmm2") I("movmskps %xmm9, %eax")
	I("movmskpd %xmm1, %r9") I("movntps %xmm1, (%rsi)") I("movntdq %xmm1, (%rsi)") I("movd %eax, %xmm1")
	I("movd %xmm9, %r9d") I("movq %rax, %xmm1") I("movq %xmm9, %r9") I("movd (%rsi), %xmm1")
	I("movq (%rsi), %xmm1") I("movq %xmm1, %xmm2") I("movq %xmm1, (%rsi)") I("movd %xmm1, (%rsi)")
	I("movdqa (%rsi), %xmm1") I("movdqu 5(%rsi), %xmm1") I("movdqu %xmm1, 5(%rsi)")
	I("addps %xmm1, %xmm2") I("addpd (%rsi), %xmm10") I("addss 4(%rsi), %xmm2") I("addsd %xmm11, %xmm2")
	I("subps %xmm1, %xmm2") I("mulpd %xmm1, %xmm2") I("divps %xmm1, %xmm2") I("divsd (%rsi), %xmm2")
	I("sqrtps %xmm1, %xmm2") I("sqrtsd %xmm1, %xmm2") I("rsqrtps %xmm1, %xmm2") I("rcpss %xmm1, %xmm2")
	I("minps %xmm1, %xmm2") I("maxsd %xmm1, %xmm2") I("andps %xmm1, %xmm2") I("andnpd %xmm1, %xmm2")
	I("xorps %xmm1, %xmm1") I("orpd (%rsi), %xmm2") I("cmpps $1, %xmm1, %xmm2") I("cmpsd $6, (%rsi), %xmm2")
	I("comiss %xmm1, %xmm2") I("ucomisd (%rsi), %xmm2") I("comisd %xmm1, %xmm12") I("shufps $0x1b, %xmm1, %xmm2")
	I("unpcklps %xmm1, %xmm2") I("unpckhpd (%rsi), %xmm2") I("cvtsi2ss %eax, %xmm1") I("cvtsi2sd %rax, %xmm1")
	I("cvtsi2sdl (%rsi), %xmm1") I("cvtsi2ssq (%rsi), %xmm1") I("cvtss2si %xmm1, %eax") I("cvttsd2si %xmm1, %r9")
	I("cvttss2si (%rsi), %rax") I("cvtps2pd %xmm1, %xmm2") I("cvtpd2ps (%rsi), %xmm2") I("cvtss2sd (%rsi), %xmm2")
	I("cvtsd2ss %xmm1, %xmm2") I("cvtdq2ps %xmm1, %xmm2") I("cvtps2dq %xmm1, %xmm2") I("cvttps2dq (%rsi), %xmm2")
	I("cvtdq2pd (%rsi), %xmm2") I("cvtpd2dq %xmm1, %xmm2") I("cvttpd2dq %xmm1, %xmm2")
	I("paddb %xmm1, %xmm2") I("paddq (%rsi), %xmm2") I("pmuludq %xmm1, %xmm2") I("pmaddwd %xmm1, %xmm2")
	I("psadbw %xmm1, %xmm2") I("pcmpeqb %xmm1, %xmm2") I("pcmpgtd (%rsi), %xmm2") I("packsswb %xmm1, %xmm2")
	I("punpcklbw %xmm1, %xmm2") I("punpckhqdq %xmm1, %xmm2") I("pshufd $0x4e, (%rsi), %xmm2")
	I("pshuflw $0x4e, %xmm1, %xmm2") I("pshufhw $0x4e, %xmm1, %xmm2") I("psllw $3, %xmm2") I("psrad $3, %xmm12")
	I("psrldq $5, %xmm2") I("pslldq $5, %xmm9") I("psrlq %xmm1, %xmm2") I("pslld (%rsi), %xmm2")
	I("pinsrw $3, %eax, %xmm2") I("pinsrw $3, (%rsi), %xmm2") I("pextrw $3, %xmm2, %r8d") I("pmovmskb %xmm9, %r8d")
	I("haddps %xmm1, %xmm2") I("addsubpd (%rsi), %xmm2") I("movddup (%rsi), %xmm2") I("movshdup %xmm1, %xmm2")
	I("lddqu 3(%rsi), %xmm2"));

LIST(list_sse4,
	I("pshufb %xmm1, %xmm2") I("phaddw (%rsi), %xmm2") I("pabsd %xmm1, %xmm2") I("palignr $5, %xmm1, %xmm12")
	I("pmulhrsw %xmm1, %xmm2") I("psignb %xmm1, %xmm2") I("pblendvb %xmm0, %xmm1, %xmm2")
	I("blendvps %xmm0, (%rsi), %xmm2") I("blendvpd %xmm0, %xmm1, %xmm2") I("ptest %xmm1, %xmm2") I("ptest (%rsi), %xmm2")
	I("pmovsxbw (%rsi), %xmm2") I("pmovzxbq (%rsi), %xmm2") I("pmovzxdq %xmm1, %xmm2") I("pmuldq %xmm1, %xmm2")
	I("movntdqa (%rsi), %xmm2") I("packusdw %xmm1, %xmm2") I("pminsb %xmm1, %xmm2") I("pmulld (%rsi), %xmm2")
	I("phminposuw %xmm1, %xmm2") I("roundps $1, %xmm1, %xmm2") I("roundsd $2, (%rsi), %xmm2") I("blendps $5, %xmm1, %xmm2")
	I("pblendw $0x5a, (%rsi), %xmm2") I("pextrb $3, %xmm1, %eax") I("pextrb $3, %xmm1, (%rsi)") I("pextrw $3, %xmm1, (%rsi)")
	I("pextrd $1, %xmm9, %r10d") I("pextrq $1, %xmm9, %r10") I("pextrq $1, %xmm9, (%rsi)") I("extractps $1, %xmm9, %r10d")
	I("pinsrb $3, %eax, %xmm2") I("pinsrb $3, (%rsi), %xmm2") I("pinsrd $1, %eax, %xmm2") I("pinsrq $1, %r9, %xmm2")
	I("pinsrq $1, (%rsi), %xmm2") I("insertps $0x4a, %xmm1, %xmm2") I("insertps $0x4a, (%rsi), %xmm2")
	I("dpps $0xf1, %xmm1, %xmm2") I("mpsadbw $3, %xmm1, %xmm2") I("pcmpeqq %xmm1, %xmm2") I("pcmpgtq %xmm1, %xmm2")
	I("pcmpestrm $0x44, %xmm1, %xmm2") I("pcmpestri $0x1a, (%rsi), %xmm2") I("pcmpistrm $0x44, %xmm1, %xmm2")
	I("pcmpistri $0x0c, %xmm1, %xmm12") I("aesenc %xmm1, %xmm2") I("aesdeclast (%rsi), %xmm2") I("aesimc %xmm1, %xmm2")
	I("aeskeygenassist $3, %xmm1, %xmm2") I("pclmulqdq $1, %xmm1, %xmm2") I("sha256rnds2 %xmm0, %xmm1, %xmm2")
	I("sha1rnds4 $2, (%rsi), %xmm2") I("sha256msg1 %xmm1, %xmm2"));

LIST(list_avx,
	I("vmovups (%rsi), %ymm1") I("vmovups %ymm9, 5(%rsi)") I("vmovaps %ymm1, %ymm15") I("vmovaps %xmm1, %xmm15")
	I("vmovss (%rsi), %xmm9") I("vmovss %xmm1, %xmm2, %xmm3") I("vmovsd %xmm1, (%rsi)") I("vaddps %ymm1, %ymm9, %ymm3")
	I("vaddpd (%rsi), %ymm9, %ymm3") I("vaddss (%rsi), %xmm9, %xmm3") I("vdivsd %xmm1, %xmm2, %xmm3") I("vsqrtps %ymm1, %ymm2")
	I("vcmpps $0x1d, %ymm1, %ymm2, %ymm3") I("vucomisd %xmm1, %xmm2") I("vcvtsi2sd %rax, %xmm1, %xmm2") I("vcvttsd2si %xmm1, %r9")
	I("vcvtpd2psy (%rsi), %xmm2") I("vcvtps2pd (%rsi), %ymm2") I("vcvtps2ph $0, %ymm1, (%rsi)") I("vcvtph2ps (%rsi), %ymm1")
	I("vmovd %eax, %xmm9") I("vmovq %xmm9, %rax") I("vmovq (%rsi), %xmm9") I("vpinsrq $1, %rax, %xmm1, %xmm2")
	I("vpextrd $2, %xmm1, (%rsi)") I("vpextrw $2, %xmm1, %eax") I("vmovmskps %ymm1, %eax") I("vpmovmskb %ymm9, %r9d")
	I("vpaddd %ymm1, %ymm2, %ymm3") I("vpxor %xmm1, %xmm1, %xmm1") I("vpshufb (%rsi), %ymm2, %ymm3") I("vpsllw $3, %ymm1, %ymm12")
	I("vpsrldq $3, %ymm1, %ymm12") I("vpsrlq %xmm1, %ymm2, %ymm3") I("vpsllvd %ymm1, %ymm2, %ymm3") I("vpsravd (%rsi), %ymm2, %ymm3")
	I("vinsertf128 $1, (%rsi), %ymm1, %ymm2") I("vextractf128 $1, %ymm1, (%rsi)") I("vextracti128 $1, %ymm1, %xmm9")
	I("vperm2i128 $0x31, %ymm1, %ymm2, %ymm3") I("vpermq $0x1b, %ymm1, %ymm2") I("vpermd %ymm1, %ymm2, %ymm3")
	I("vpermilps $0x1b, %ymm1, %ymm2") I("vpermilpd %ymm1, %ymm2, %ymm3") I("vbroadcastss (%rsi), %ymm1") I("vbroadcastsd %xmm1, %ymm2")
	I("vbroadcastf128 (%rsi), %ymm1") I("vpbroadcastb (%rsi), %ymm1") I("vpbroadcastw %xmm1, %xmm2") I("vblendvps %ymm1, %ymm2, %ymm3, %ymm14")
	I("vpblendvb %xmm9, (%rsi), %xmm3, %xmm4") I("vpblendd $0x5a, %ymm1, %ymm2, %ymm3") I("vtestps %ymm1, %ymm2") I("vptest (%rsi), %ymm2")
	I("vpmovzxbw (%rsi), %ymm1") I("vpmovsxdq %xmm1, %ymm2") I("vmaskmovps (%rsi), %ymm1, %ymm2") I("vmaskmovpd %xmm1, %xmm2, (%rsi)")
	I("vpmaskmovq %ymm1, %ymm2, (%rsi)") I("vpmaskmovd (%rsi), %xmm1, %xmm2") I("vfmadd231ps %ymm1, %ymm2, %ymm3")
	I("vfmadd213sd (%rsi), %xmm2, %xmm3") I("vfnmsub132pd %xmm1, %xmm2, %xmm13") I("vroundps $3, %ymm1, %ymm2") I("vdpps $0xff, %ymm1, %ymm2, %ymm3")
	I("vpcmpistri $0x0c, %xmm1, %xmm2") I("vpcmpestrm $0x40, (%rsi), %xmm2") I("vaesenc %xmm1, %xmm2, %xmm3") I("vpclmulqdq $0x11, %xmm1, %xmm2, %xmm3")
	I("vzeroupper") I("vzeroall") I("vlddqu (%rsi), %ymm1") I("vmovddup (%rsi), %ymm1") I("vmovntdq %ymm1, (%rsi)")
	I("vinsertps $0x4a, (%rsi), %xmm1, %xmm2") I("vhaddpd %ymm1, %ymm2, %ymm3") I("vmovhlps %xmm1, %xmm2, %xmm3") I("vmovlps (%rsi), %xmm2, %xmm3")
	I("vmovhpd %xmm1, (%rsi)") I("vphminposuw %xmm1, %xmm2") I("vrcpss %xmm1, %xmm2, %xmm3") I("vshufpd $5, %ymm1, %ymm2, %ymm3"));

LIST(list_mmx,
	I("movd %eax, %mm1") I("movq %rax, %mm1") I("movd %mm1, %eax") I("movq %mm1, %r9") I("movq (%rsi), %mm2") I("movq %mm3, (%rsi)")
	I("paddb %mm1, %mm2") I("pmaddwd (%rsi), %mm2") I("psllw $3, %mm2") I("psrlq %mm1, %mm2") I("packuswb %mm1, %mm2")
	I("punpcklbw (%rsi), %mm2") I("pshufw $0x1b, %mm1, %mm2") I("pinsrw $2, %eax, %mm1") I("pextrw $2, %mm1, %r9d")
	I("pmovmskb %mm1, %eax") I("movntq %mm1, (%rsi)") I("psadbw %mm1, %mm2") I("pshufb %mm1, %mm2") I("movq2dq %mm1, %xmm9")
	I("movdq2q %xmm9, %mm1") I("cvtpi2ps %mm1, %xmm9") I("cvtps2pi %xmm9, %mm1") I("cvttpd2pi (%rsi), %mm1") I("cvtpi2pd (%rsi), %xmm1")
	I("emms") I("pand %mm1, %mm2"));

LIST(list_x87,
	I("fld1") I("fldz") I("fldpi") I("fld %st(3)") I("flds (%rsi)") I("fldl (%rsi)") I("fldt (%rsi)") I("filds (%rsi)") I("fildl (%rsi)")
	I("fildll (%rsi)") I("fbld (%rsi)") I("fsts (%rsi)") I("fstpl (%rsi)") I("fstpt (%rsi)") I("fistps (%rsi)") I("fistl (%rsi)")
	I("fistpll (%rsi)") I("fisttpl (%rsi)") I("fbstp (%rsi)") I("fst %st(2)") I("fstp %st(1)") I("fxch %st(4)") I("fadd %st(3), %st")
	I("fadd %st, %st(3)") I("faddp") I("fsubs (%rsi)") I("fsubrl (%rsi)") I("fmull (%rsi)") I("fdivp") I("fdivrp %st, %st(2)") I("fiadds (%rsi)")
	I("fimull (%rsi)") I("fchs") I("fabs") I("fsqrt") I("fscale") I("frndint") I("fxtract") I("fprem") I("fprem1") I("f2xm1") I("fyl2x")
	I("fyl2xp1") I("fsin") I("fcos") I("fsincos") I("fptan") I("fpatan") I("fcom %st(2)") I("fcompp") I("fucomp %st(1)") I("ficoms (%rsi)")
	I("fcomi %st(2), %st") I("fucomip %st(1), %st") I("ftst") I("fxam") I("fcmovb %st(2), %st") I("fcmovnu %st(2), %st") I("fcmove %st(3), %st")
	I("fincstp") I("fdecstp") I("ffree %st(2)") I("fnop") I("fnstsw %ax") I("fnstsw (%rsi)") I("fnstcw (%rsi)") I("fnclex"));
/* clang-format on */
