'use strict';
// Arrow keys go through the products, B changes to the barcode and back, F fills the screen.
const LINKS = { ArrowLeft: '[rel=prev]', ArrowRight: '[rel=next]', ' ': '[rel=next]', b: '[rel=alternate]', Escape: 'footer a' };

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !document.body.classList.contains('one')) return;
  if (event.key === 'f' && !document.fullscreenElement) void document.documentElement.requestFullscreen();
  // A space on a link is that link's.
  if (event.key === ' ' && event.target !== document.body) return;
  const link = document.querySelector(LINKS[event.key] ?? 'nothing');
  if (link === null || (event.key === 'Escape' && document.fullscreenElement)) return;
  event.preventDefault();
  link.click();
});

document.getElementById('print')?.addEventListener('click', () => window.print());
