() => {
  const show = (seconds) =>
    seconds < 60 ? `${Math.round(seconds)} s ago` : seconds < 3600 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ago`;
  const ages = () => {
    const now = Date.now() / 1000;
    document.querySelectorAll('time.age').forEach((one) => {
      const text = show(Math.max(0, now - Number(one.dataset.at)));
      if (one.textContent !== text) one.textContent = text;
    });
  };
  // Every open page asks its service for news; without an answer, what it shows is old.
  let answered = Date.now();
  const asks = window.fetch;
  window.fetch = (...given) => asks(...given).then((answer) => { answered = Date.now(); return answer; });
  document.addEventListener('visibilitychange', () => { answered = Date.now(); });
  setInterval(() => {
    ages();
    document.body.classList.toggle('lost', !document.hidden && Date.now() - answered > 10000);
  }, 1000);
  // A log stays at its end unless somebody scrolled up.
  const follow = () => document.querySelectorAll('pre.log.tail').forEach((one) => {
    const up = one.dataset.up === 'yes';
    if (!one.dataset.bound) {
      one.dataset.bound = 'yes';
      one.addEventListener('scroll', () => { one.dataset.up = one.scrollTop + one.clientHeight < one.scrollHeight - 30 ? 'yes' : 'no'; });
    }
    if (!up) one.scrollTop = one.scrollHeight;
  });
  // A form or a change that opens comes into view.
  const reveal = (records) => records.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
    const opened = node.nodeType === 1 && (node.matches('.change, .entry') ? node : node.querySelector?.('.change, .entry'));
    if (opened) opened.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  }));
  // What the page had before Gradio's scripts were there.
  const settle = () => {
    if (document.querySelector('#overview .cards, #overview .faults')) document.getElementById('first-view')?.remove();
  };
  new MutationObserver((records) => { settle(); ages(); follow(); reveal(records); }).observe(document.body, { childList: true, subtree: true });
}
